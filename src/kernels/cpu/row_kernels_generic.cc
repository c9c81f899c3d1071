#include "kernels/cpu/row_kernels_impl.h"
#include "kernels/target.h"

namespace ingot::cpu {

const RowKernels& row_kernels_generic() { return kRowKernels; }

const RowKernels& row_kernels() {
  Target target = active_target();
  if (target >= Target::kAvx512) return row_kernels_avx512();
  if (target >= Target::kAvx2) return row_kernels_avx2();
  return row_kernels_generic();
}

}  // namespace ingot::cpu
