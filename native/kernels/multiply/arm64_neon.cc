#include "base/simd/arm64_neon.h"
#include "kernels/multiply/generic.h"

namespace sparsenas {

void MultiplyNeon(const MultiplyArgs& args) { Multiply<F32x4>(args); }

}  // namespace sparsenas
