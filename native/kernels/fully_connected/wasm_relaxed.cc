#include "base/simd/wasm128.h"
#include "kernels/fully_connected/generic.h"

namespace sparsenas {

void FullyConnectedDenseWasmRelaxed(const FullyConnectedDenseArgs& args) {
  FullyConnectedDense<F32x4>(args);
}

void FullyConnectedUnstructuredWasmRelaxed(const FullyConnectedUnstructuredArgs& args) {
  FullyConnectedSparse<F32x4>(args);
}

void FullyConnectedBlock4WasmRelaxed(const FullyConnectedBlock4Args& args) {
  FullyConnectedSparse<F32x4>(args);
}

void FullyConnectedTwoOfFourWasmRelaxed(const FullyConnectedTwoOfFourArgs& args) {
  FullyConnectedTwoOfFour<F32x4>(args);
}

}  // namespace sparsenas
