// Several encoders as one: their unit vectors side by side.
#pragma once

#include <memory>
#include <vector>

#include "models/text_encoder.h"

namespace ingot {

// Rows are of unit length again. REQUIRES: at least one part.
std::shared_ptr<const TextEncoder> join_encoders(std::vector<std::shared_ptr<const TextEncoder>> parts);

}  // namespace ingot
