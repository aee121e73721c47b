#include "base/simd/scalar.h"
#include "kernels/fully_connected/generic.h"

namespace sparsenas {

void FullyConnectedDenseScalar(const FullyConnectedDenseArgs& args) {
  FullyConnectedDense<F32x1>(args);
}

void FullyConnectedUnstructuredScalar(const FullyConnectedUnstructuredArgs& args) {
  FullyConnectedUnstructured<F32x1>(args);
}

}  // namespace sparsenas
