#include "base/simd/x86_avx2.h"
#include "kernels/global_average_pool/generic.h"

namespace sparsenas {

void GlobalAveragePoolAvx2(const GlobalAveragePoolArgs& args) { GlobalAveragePool<F32x8>(args); }

}  // namespace sparsenas
