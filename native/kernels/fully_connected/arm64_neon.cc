#include "base/simd/arm64_neon.h"
#include "kernels/fully_connected/generic.h"

namespace sparsenas {

void FullyConnectedDenseNeon(const FullyConnectedDenseArgs& args) {
  FullyConnectedDense<F32x4>(args);
}

void FullyConnectedUnstructuredNeon(const FullyConnectedUnstructuredArgs& args) {
  FullyConnectedSparse<F32x4>(args);
}

void FullyConnectedBlock4Neon(const FullyConnectedBlock4Args& args) {
  FullyConnectedSparse<F32x4>(args);
}

void FullyConnectedTwoOfFourNeon(const FullyConnectedTwoOfFourArgs& args) {
  FullyConnectedTwoOfFour<F32x4>(args);
}

}  // namespace sparsenas
