#include "base/simd/x86_avx2.h"
#include "kernels/conv_dense/generic.h"

namespace sparsenas {

void ConvDenseAvx2(const ConvDenseArgs& args) { ConvDense<F32x8>(args); }

}  // namespace sparsenas
