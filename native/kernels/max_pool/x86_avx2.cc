#include "base/simd/x86_avx2.h"
#include "kernels/max_pool/generic.h"

namespace sparsenas {

void MaxPoolAvx2(const PoolArgs& args) { MaxPool<F32x8>(args); }

}  // namespace sparsenas
