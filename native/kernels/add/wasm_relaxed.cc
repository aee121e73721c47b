#include "base/simd/wasm128.h"
#include "kernels/add/generic.h"

namespace sparsenas {

void AddWasmRelaxed(const AddArgs& args) { Add<F32x4>(args); }

}  // namespace sparsenas
