#include "base/simd/x86_avx2.h"
#include "kernels/conv1x1/dense.h"
#include "kernels/conv1x1/sparse.h"

namespace sparsenas {

void Conv1x1DenseAvx2(const Conv1x1DenseArgs& args) { Conv1x1Dense<F32x8>(args); }

void Conv1x1UnstructuredAvx2(const Conv1x1UnstructuredArgs& args) { Conv1x1Sparse<F32x8>(args); }

void Conv1x1Block2Avx2(const Conv1x1Block2Args& args) { Conv1x1Sparse<F32x8>(args); }

void Conv1x1Block4Avx2(const Conv1x1Block4Args& args) { Conv1x1Sparse<F32x8>(args); }

}  // namespace sparsenas
