#include "base/simd/arm64_neon.h"
#include "kernels/conv1x1/dense.h"
#include "kernels/conv1x1/sparse.h"

namespace sparsenas {

void Conv1x1DenseNeon(const Conv1x1DenseArgs& args) { Conv1x1Dense<F32x4>(args); }

void Conv1x1UnstructuredNeon(const Conv1x1UnstructuredArgs& args) { Conv1x1Sparse<F32x4>(args); }

void Conv1x1Block2Neon(const Conv1x1Block2Args& args) { Conv1x1Sparse<F32x4>(args); }

void Conv1x1Block4Neon(const Conv1x1Block4Args& args) { Conv1x1Sparse<F32x4>(args); }

}  // namespace sparsenas
