#include "base/simd/x86_avx512.h"
#include "kernels/conv_dense/generic.h"

namespace sparsenas {

void ConvDenseAvx512(const ConvDenseArgs& args) { ConvDense<F32x16>(args); }

}  // namespace sparsenas
