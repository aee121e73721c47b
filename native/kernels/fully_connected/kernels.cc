#include "kernels/fully_connected/fully_connected.h"

namespace sparsenas {

#define SPARSENAS_FULLY_CONNECTED_DENSE(run, name, isa) void run(const FullyConnectedDenseArgs&);
#define SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED(run, name, isa) \
  void run(const FullyConnectedUnstructuredArgs&);
#include "kernels/fully_connected/kernels.inc"
#undef SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED
#undef SPARSENAS_FULLY_CONNECTED_DENSE

KernelList<FullyConnectedDenseArgs> FullyConnectedDenseKernels() {
  static constexpr Kernel<FullyConnectedDenseArgs> kKernels[] = {
#define SPARSENAS_FULLY_CONNECTED_DENSE(run, name, isa) {name, isa, run},
#define SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED(run, name, isa)
#include "kernels/fully_connected/kernels.inc"
#undef SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED
#undef SPARSENAS_FULLY_CONNECTED_DENSE
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

KernelList<FullyConnectedUnstructuredArgs> FullyConnectedUnstructuredKernels() {
  static constexpr Kernel<FullyConnectedUnstructuredArgs> kKernels[] = {
#define SPARSENAS_FULLY_CONNECTED_DENSE(run, name, isa)
#define SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED(run, name, isa) {name, isa, run},
#include "kernels/fully_connected/kernels.inc"
#undef SPARSENAS_FULLY_CONNECTED_UNSTRUCTURED
#undef SPARSENAS_FULLY_CONNECTED_DENSE
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

}  // namespace sparsenas
