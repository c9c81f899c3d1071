#include "kernels/cpu/row_kernels_impl.h"


namespace ingot::cpu {

const RowKernels& row_kernels_avx512() { return kRowKernels; }


}  // namespace ingot::cpu
