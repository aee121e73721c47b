#include "base/simd/x86_avx2.h"
#include "kernels/average_pool/generic.h"

namespace sparsenas {

void AveragePoolAvx2(const PoolArgs& args) { AveragePool<F32x8>(args); }

}  // namespace sparsenas
