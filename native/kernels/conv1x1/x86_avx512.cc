#include "base/simd/x86_avx512.h"
#include "kernels/conv1x1/dense.h"
#include "kernels/conv1x1/sparse.h"

namespace sparsenas {

void Conv1x1DenseAvx512(const Conv1x1DenseArgs& args) { Conv1x1Dense<F32x16>(args); }

void Conv1x1UnstructuredAvx512(const Conv1x1UnstructuredArgs& args) { Conv1x1Sparse<F32x16>(args); }

void Conv1x1Block2Avx512(const Conv1x1Block2Args& args) { Conv1x1Sparse<F32x16>(args); }

void Conv1x1Block4Avx512(const Conv1x1Block4Args& args) { Conv1x1Sparse<F32x16>(args); }

}  // namespace sparsenas
