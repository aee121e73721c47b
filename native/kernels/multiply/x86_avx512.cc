#include "base/simd/x86_avx512.h"
#include "kernels/multiply/generic.h"

namespace sparsenas {

void MultiplyAvx512(const MultiplyArgs& args) { Multiply<F32x16>(args); }

}  // namespace sparsenas
