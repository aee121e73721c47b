#include "base/simd/wasm128.h"
#include "kernels/depthwise/generic.h"
#include "kernels/depthwise/rows.h"

namespace sparsenas {

void DepthwiseWasm128(const DepthwiseArgs& args) {
  HasRows<F32x4>(args) ? DepthwiseRows<F32x4>(args) : Depthwise<F32x4>(args);
}

}  // namespace sparsenas
