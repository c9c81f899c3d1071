#include "core/huge_memory.h"

#include <sys/mman.h>

namespace ingot {

std::shared_ptr<std::byte> huge_memory(size_t bytes) {
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  madvise(base, bytes, MADV_HUGEPAGE);
  return {static_cast<std::byte*>(base), [bytes](std::byte* p) { munmap(p, bytes); }};
}

}  // namespace ingot
