#include "base/simd/arm64_neon.h"
#include "kernels/max_pool/generic.h"

namespace sparsenas {

void MaxPoolNeon(const PoolArgs& args) { MaxPool<F32x4>(args); }

}  // namespace sparsenas
