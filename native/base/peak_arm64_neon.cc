#include "base/peak_generic.h"
#include "base/simd/arm64_neon.h"

namespace sparsenas {

float MultiplyAddNeon(size_t n, float x, float y) { return MultiplyAdd<F32x4>(n, x, y); }

}  // namespace sparsenas
