#include "base/simd/wasm128.h"
#include "kernels/conv_hwc/generic.h"

namespace sparsenas {

void ConvHwcWasmRelaxed(const ConvHwcArgs& args) { ConvHwc<F32x4>(args); }

}  // namespace sparsenas
