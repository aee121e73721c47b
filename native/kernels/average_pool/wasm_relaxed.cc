#include "base/simd/wasm128.h"
#include "kernels/average_pool/generic.h"

namespace sparsenas {

void AveragePoolWasmRelaxed(const PoolArgs& args) { AveragePool<F32x4>(args); }

}  // namespace sparsenas
