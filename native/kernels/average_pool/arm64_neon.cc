#include "base/simd/arm64_neon.h"
#include "kernels/average_pool/generic.h"

namespace sparsenas {

void AveragePoolNeon(const PoolArgs& args) { AveragePool<F32x4>(args); }

}  // namespace sparsenas
