#include "base/simd/wasm128.h"
#include "kernels/conv_direct/generic.h"

namespace sparsenas {

void ConvDirectWasmRelaxed(const ConvDirectArgs& args) { ConvDirect<F32x4>(args); }

}  // namespace sparsenas
