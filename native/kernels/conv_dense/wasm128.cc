#include "base/simd/wasm128.h"
#include "kernels/conv_dense/generic.h"

namespace sparsenas {

void ConvDenseWasm128(const ConvDenseArgs& args) { ConvDense<F32x4>(args); }

}  // namespace sparsenas
