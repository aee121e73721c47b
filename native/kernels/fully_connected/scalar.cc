#include "base/simd/scalar.h"
#include "kernels/fully_connected/generic.h"

namespace sparsenas {

void FullyConnectedDenseScalar(const FullyConnectedDenseArgs& args) {
  FullyConnectedDense<F32x1>(args);
}

void FullyConnectedUnstructuredScalar(const FullyConnectedUnstructuredArgs& args) {
  FullyConnectedSparse<F32x1>(args);
}

void FullyConnectedBlock4Scalar(const FullyConnectedBlock4Args& args) {
  FullyConnectedSparse<F32x1>(args);
}

void FullyConnectedTwoOfFourScalar(const FullyConnectedTwoOfFourArgs& args) {
  FullyConnectedTwoOfFour<F32x1>(args);
}

}  // namespace sparsenas
