#include "base/simd/wasm128.h"
#include "kernels/conv_hwc/generic.h"

namespace sparsenas {

void ConvHwcWasm128(const ConvHwcArgs& args) { ConvHwc<F32x4>(args); }

}  // namespace sparsenas
