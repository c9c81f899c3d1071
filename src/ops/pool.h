// From the rows of a sequence to one.
#pragma once

#include <cstdint>
#include <span>

#include "ops/context.h"

namespace ingot {

// Row i is the mean of x's rows [starts[i], starts[i + 1]), none of which is empty.
Tensor mean_rows(const Context& c, Tensor x, std::span<const int64_t> starts);

}  // namespace ingot
