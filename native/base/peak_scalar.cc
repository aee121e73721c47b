#include "base/peak_generic.h"
#include "base/simd/scalar.h"

namespace sparsenas {

float MultiplyAddScalar(size_t n, float x, float y) { return MultiplyAdd<F32x1>(n, x, y); }

}  // namespace sparsenas
