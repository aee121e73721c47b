#include "base/simd/scalar.h"
#include "kernels/global_average_pool/generic.h"

namespace sparsenas {

void GlobalAveragePoolScalar(const GlobalAveragePoolArgs& args) { GlobalAveragePool<F32x1>(args); }

}  // namespace sparsenas
