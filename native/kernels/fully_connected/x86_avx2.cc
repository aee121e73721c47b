#include "base/simd/x86_avx2.h"
#include "kernels/fully_connected/generic.h"

namespace sparsenas {

void FullyConnectedDenseAvx2(const FullyConnectedDenseArgs& args) {
  FullyConnectedDense<F32x8>(args);
}

void FullyConnectedUnstructuredAvx2(const FullyConnectedUnstructuredArgs& args) {
  FullyConnectedSparse<F32x8>(args);
}

void FullyConnectedBlock4Avx2(const FullyConnectedBlock4Args& args) {
  FullyConnectedSparse<F32x8>(args);
}

void FullyConnectedTwoOfFourAvx2(const FullyConnectedTwoOfFourArgs& args) {
  FullyConnectedTwoOfFour<F32x8>(args);
}

}  // namespace sparsenas
