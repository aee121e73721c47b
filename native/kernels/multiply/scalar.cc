#include "base/simd/scalar.h"
#include "kernels/multiply/generic.h"

namespace sparsenas {

void MultiplyScalar(const MultiplyArgs& args) { Multiply<F32x1>(args); }

}  // namespace sparsenas
