#include "base/peak_generic.h"
#include "base/simd/x86_avx512.h"

namespace sparsenas {

float MultiplyAddAvx512(size_t n, float x, float y) { return MultiplyAdd<F32x16>(n, x, y); }

}  // namespace sparsenas
