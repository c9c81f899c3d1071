// LoRA (Hu 2021) at run time: low-rank products beside the base model's, applied without changing it.
#pragma once

#include <cstdint>
#include <span>

namespace ingot {

class LoraAdapter {
 public:
  uint64_t serial() const { return serial_; }  // of this process, never 0 and never given twice

 protected:
  LoraAdapter() = default;
  uint64_t serial_ = 0;
};

// Rows [first, first + rows) of a batch are this adapter's.
struct AdapterRows {
  const LoraAdapter* adapter;
  int64_t first, rows;
};

}  // namespace ingot
