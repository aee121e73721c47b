#include "base/simd/wasm128.h"
#include "kernels/global_average_pool/generic.h"

namespace sparsenas {

void GlobalAveragePoolWasm128(const GlobalAveragePoolArgs& args) { GlobalAveragePool<F32x4>(args); }

}  // namespace sparsenas
