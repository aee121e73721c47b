#include "base/simd/scalar.h"
#include "kernels/max_pool/generic.h"

namespace sparsenas {

void MaxPoolScalar(const PoolArgs& args) { MaxPool<F32x1>(args); }

}  // namespace sparsenas
