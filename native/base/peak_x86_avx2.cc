#include "base/peak_generic.h"
#include "base/simd/x86_avx2.h"

namespace sparsenas {

float MultiplyAddAvx2(size_t n, float x, float y) { return MultiplyAdd<F32x8>(n, x, y); }

}  // namespace sparsenas
