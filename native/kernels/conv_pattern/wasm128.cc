#include "base/simd/wasm128.h"
#include "kernels/conv_pattern/generic.h"

namespace sparsenas {

void ConvPatternWasm128(const ConvPatternArgs& args) { ConvPattern<F32x4>(args); }

}  // namespace sparsenas
