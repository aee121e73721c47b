#include "base/simd/scalar.h"
#include "kernels/conv_dense/generic.h"

namespace sparsenas {

void ConvDenseScalar(const ConvDenseArgs& args) { ConvDense<F32x1>(args); }

}  // namespace sparsenas
