#include "base/simd/x86_avx512.h"
#include "kernels/global_average_pool/generic.h"

namespace sparsenas {

void GlobalAveragePoolAvx512(const GlobalAveragePoolArgs& args) { GlobalAveragePool<F32x16>(args); }

}  // namespace sparsenas
