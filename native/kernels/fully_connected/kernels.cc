#include "kernels/fully_connected/fully_connected.h"

namespace sparsenas {

#define SPARSENAS_FULLY_CONNECTED_DENSE(run, name, isa) void run(const FullyConnectedDenseArgs&);
#define SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED(run, name, isa) \
  void run(const FullyConnectedUnstructuredArgs&);
#define SPARSENAS_FULLY_CONNECTED_BLOCK4(run, name, isa) void run(const FullyConnectedBlock4Args&);
#define SPARSENAS_FULLY_CONNECTED_TWO_OF_FOUR(run, name, isa) \
  void run(const FullyConnectedTwoOfFourArgs&);
#include "kernels/fully_connected/kernels.inc"
#undef SPARSENAS_FULLY_CONNECTED_TWO_OF_FOUR
#undef SPARSENAS_FULLY_CONNECTED_BLOCK4
#undef SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED
#undef SPARSENAS_FULLY_CONNECTED_DENSE

KernelList<FullyConnectedDenseArgs> FullyConnectedDenseKernels() {
  static constexpr Kernel<FullyConnectedDenseArgs> kKernels[] = {
#define SPARSENAS_FULLY_CONNECTED_DENSE(run, name, isa) {name, isa, run},
#define SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED(run, name, isa)
#define SPARSENAS_FULLY_CONNECTED_BLOCK4(run, name, isa)
#define SPARSENAS_FULLY_CONNECTED_TWO_OF_FOUR(run, name, isa)
#include "kernels/fully_connected/kernels.inc"
#undef SPARSENAS_FULLY_CONNECTED_TWO_OF_FOUR
#undef SPARSENAS_FULLY_CONNECTED_BLOCK4
#undef SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED
#undef SPARSENAS_FULLY_CONNECTED_DENSE
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

KernelList<FullyConnectedUnstructuredArgs> FullyConnectedUnstructuredKernels() {
  static constexpr Kernel<FullyConnectedUnstructuredArgs> kKernels[] = {
#define SPARSENAS_FULLY_CONNECTED_DENSE(run, name, isa)
#define SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED(run, name, isa) {name, isa, run},
#define SPARSENAS_FULLY_CONNECTED_BLOCK4(run, name, isa)
#define SPARSENAS_FULLY_CONNECTED_TWO_OF_FOUR(run, name, isa)
#include "kernels/fully_connected/kernels.inc"
#undef SPARSENAS_FULLY_CONNECTED_TWO_OF_FOUR
#undef SPARSENAS_FULLY_CONNECTED_BLOCK4
#undef SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED
#undef SPARSENAS_FULLY_CONNECTED_DENSE
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

KernelList<FullyConnectedBlock4Args> FullyConnectedBlock4Kernels() {
  static constexpr Kernel<FullyConnectedBlock4Args> kKernels[] = {
#define SPARSENAS_FULLY_CONNECTED_DENSE(run, name, isa)
#define SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED(run, name, isa)
#define SPARSENAS_FULLY_CONNECTED_BLOCK4(run, name, isa) {name, isa, run},
#define SPARSENAS_FULLY_CONNECTED_TWO_OF_FOUR(run, name, isa)
#include "kernels/fully_connected/kernels.inc"
#undef SPARSENAS_FULLY_CONNECTED_TWO_OF_FOUR
#undef SPARSENAS_FULLY_CONNECTED_BLOCK4
#undef SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED
#undef SPARSENAS_FULLY_CONNECTED_DENSE
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

KernelList<FullyConnectedTwoOfFourArgs> FullyConnectedTwoOfFourKernels() {
  static constexpr Kernel<FullyConnectedTwoOfFourArgs> kKernels[] = {
#define SPARSENAS_FULLY_CONNECTED_DENSE(run, name, isa)
#define SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED(run, name, isa)
#define SPARSENAS_FULLY_CONNECTED_BLOCK4(run, name, isa)
#define SPARSENAS_FULLY_CONNECTED_TWO_OF_FOUR(run, name, isa) {name, isa, run},
#include "kernels/fully_connected/kernels.inc"
#undef SPARSENAS_FULLY_CONNECTED_TWO_OF_FOUR
#undef SPARSENAS_FULLY_CONNECTED_BLOCK4
#undef SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED
#undef SPARSENAS_FULLY_CONNECTED_DENSE
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

}  // namespace sparsenas
