#include "base/simd/scalar.h"
#include "kernels/average_pool/generic.h"

namespace sparsenas {

void AveragePoolScalar(const PoolArgs& args) { AveragePool<F32x1>(args); }

}  // namespace sparsenas
