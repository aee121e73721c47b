#include "base/simd/x86_avx512.h"
#include "kernels/average_pool/generic.h"

namespace sparsenas {

void AveragePoolAvx512(const PoolArgs& args) { AveragePool<F32x16>(args); }

}  // namespace sparsenas
