#include "base/simd/x86_avx2.h"
#include "kernels/multiply/generic.h"

namespace sparsenas {

void MultiplyAvx2(const MultiplyArgs& args) { Multiply<F32x8>(args); }

}  // namespace sparsenas
