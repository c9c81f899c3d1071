// Puts a model's weights into the order that products read them in.
#pragma once

#include <span>

#include "core/threads.h"
#include "ops/weight.h"

namespace ingot {

// Gives every matrix its interleaved rows, as many bytes again as it has. Products with them have the same bits as without, and with
// one row of x they take the time of reading them. Where there is no memory for it the weights stay as they are.
// Returns whether all have them: the stored rows are then read for look-ups alone, and their pages may go.
bool interleave(std::span<Weight* const> weights, ThreadTeam& team);

}  // namespace ingot
