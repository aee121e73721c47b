#include "base/simd/x86_avx512.h"
#include "kernels/max_pool/generic.h"

namespace sparsenas {

void MaxPoolAvx512(const PoolArgs& args) { MaxPool<F32x16>(args); }

}  // namespace sparsenas
