#include "base/simd/wasm128.h"
#include "kernels/conv1x1/dense.h"
#include "kernels/conv1x1/sparse.h"

namespace sparsenas {

void Conv1x1DenseWasm128(const Conv1x1DenseArgs& args) { Conv1x1Dense<F32x4>(args); }

void Conv1x1UnstructuredWasm128(const Conv1x1UnstructuredArgs& args) { Conv1x1Sparse<F32x4>(args); }

void Conv1x1Block2Wasm128(const Conv1x1Block2Args& args) { Conv1x1Sparse<F32x4>(args); }

void Conv1x1Block4Wasm128(const Conv1x1Block4Args& args) { Conv1x1Sparse<F32x4>(args); }

}  // namespace sparsenas
