#include "base/simd/wasm128.h"
#include "kernels/depthwise/generic.h"

namespace sparsenas {

void DepthwiseWasmRelaxed(const DepthwiseArgs& args) { Depthwise<F32x4>(args); }

}  // namespace sparsenas
