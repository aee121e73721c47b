#include "base/simd/wasm128.h"
#include "kernels/conv1x1/dense.h"
#include "kernels/conv1x1/sparse.h"

namespace sparsenas {

void Conv1x1DenseWasmRelaxed(const Conv1x1DenseArgs& args) { Conv1x1Dense<F32x4>(args); }

void Conv1x1UnstructuredWasmRelaxed(const Conv1x1UnstructuredArgs& args) {
  Conv1x1Sparse<F32x4>(args);
}

void Conv1x1Block2WasmRelaxed(const Conv1x1Block2Args& args) { Conv1x1Sparse<F32x4>(args); }

void Conv1x1Block4WasmRelaxed(const Conv1x1Block4Args& args) { Conv1x1Sparse<F32x4>(args); }

}  // namespace sparsenas
