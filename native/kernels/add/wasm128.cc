#include "base/simd/wasm128.h"
#include "kernels/add/generic.h"

namespace sparsenas {

void AddWasm128(const AddArgs& args) { Add<F32x4>(args); }

}  // namespace sparsenas
