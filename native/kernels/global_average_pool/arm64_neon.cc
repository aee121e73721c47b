#include "base/simd/arm64_neon.h"
#include "kernels/global_average_pool/generic.h"

namespace sparsenas {

void GlobalAveragePoolNeon(const GlobalAveragePoolArgs& args) { GlobalAveragePool<F32x4>(args); }

}  // namespace sparsenas
