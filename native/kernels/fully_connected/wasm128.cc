#include "base/simd/wasm128.h"
#include "kernels/fully_connected/generic.h"

namespace sparsenas {

void FullyConnectedDenseWasm128(const FullyConnectedDenseArgs& args) {
  FullyConnectedDense<F32x4>(args);
}

void FullyConnectedUnstructuredWasm128(const FullyConnectedUnstructuredArgs& args) {
  FullyConnectedSparse<F32x4>(args);
}

void FullyConnectedBlock4Wasm128(const FullyConnectedBlock4Args& args) {
  FullyConnectedSparse<F32x4>(args);
}

void FullyConnectedTwoOfFourWasm128(const FullyConnectedTwoOfFourArgs& args) {
  FullyConnectedTwoOfFour<F32x4>(args);
}

}  // namespace sparsenas
