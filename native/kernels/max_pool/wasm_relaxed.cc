#include "base/simd/wasm128.h"
#include "kernels/max_pool/generic.h"

namespace sparsenas {

void MaxPoolWasmRelaxed(const PoolArgs& args) { MaxPool<F32x4>(args); }

}  // namespace sparsenas
