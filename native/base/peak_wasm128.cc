#include "base/peak_generic.h"
#include "base/simd/wasm128.h"

namespace sparsenas {

float MultiplyAddWasm128(size_t n, float x, float y) { return MultiplyAdd<F32x4>(n, x, y); }

}  // namespace sparsenas
