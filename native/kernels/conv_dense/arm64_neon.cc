#include "base/simd/arm64_neon.h"
#include "kernels/conv_dense/generic.h"

namespace sparsenas {

void ConvDenseNeon(const ConvDenseArgs& args) { ConvDense<F32x4>(args); }

}  // namespace sparsenas
