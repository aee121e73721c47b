#include "base/simd/scalar.h"
#include "kernels/conv1x1/dense.h"
#include "kernels/conv1x1/sparse.h"

namespace sparsenas {

void Conv1x1DenseScalar(const Conv1x1DenseArgs& args) { Conv1x1Dense<F32x1>(args); }

void Conv1x1UnstructuredScalar(const Conv1x1UnstructuredArgs& args) { Conv1x1Sparse<F32x1>(args); }

void Conv1x1Block2Scalar(const Conv1x1Block2Args& args) { Conv1x1Sparse<F32x1>(args); }

void Conv1x1Block4Scalar(const Conv1x1Block4Args& args) { Conv1x1Sparse<F32x1>(args); }

}  // namespace sparsenas
