// Memory in huge pages where the system gives them: fewer faults while it is filled, fewer misses of the address cache when it is read.
#pragma once

#include <cstddef>
#include <memory>

namespace ingot {

// Zeroed, page-aligned; null where there is none.
std::shared_ptr<std::byte> huge_memory(size_t bytes);

}  // namespace ingot
