#include "base/simd/arm64_neon.h"
#include "kernels/fully_connected/generic.h"

namespace sparsenas {

void FullyConnectedDenseNeon(const FullyConnectedDenseArgs& args) {
  FullyConnectedDense<F32x4>(args);
}

void FullyConnectedUnstructuredNeon(const FullyConnectedUnstructuredArgs& args) {
  FullyConnectedUnstructured<F32x4>(args);
}

}  // namespace sparsenas
