#include "base/simd/wasm128.h"
#include "kernels/conv_pattern/generic.h"

namespace sparsenas {

void ConvPatternWasmRelaxed(const ConvPatternArgs& args) { ConvPattern<F32x4>(args); }

}  // namespace sparsenas
