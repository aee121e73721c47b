#include "base/simd/wasm128.h"
#include "kernels/multiply/generic.h"

namespace sparsenas {

void MultiplyWasmRelaxed(const MultiplyArgs& args) { Multiply<F32x4>(args); }

}  // namespace sparsenas
