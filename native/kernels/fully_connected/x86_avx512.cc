#include "base/simd/x86_avx512.h"
#include "kernels/fully_connected/generic.h"

namespace sparsenas {

void FullyConnectedDenseAvx512(const FullyConnectedDenseArgs& args) {
  FullyConnectedDense<F32x16>(args);
}

void FullyConnectedUnstructuredAvx512(const FullyConnectedUnstructuredArgs& args) {
  FullyConnectedSparse<F32x16>(args);
}

void FullyConnectedBlock4Avx512(const FullyConnectedBlock4Args& args) {
  FullyConnectedSparse<F32x16>(args);
}

void FullyConnectedTwoOfFourAvx512(const FullyConnectedTwoOfFourArgs& args) {
  FullyConnectedTwoOfFour<F32x16>(args);
}

}  // namespace sparsenas
