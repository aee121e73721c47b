#include "kernels/depthwise/depthwise.h"

namespace sparsenas {

#define SPARSENAS_DEPTHWISE(run, name, isa) void run(const DepthwiseArgs&);
#include "kernels/depthwise/kernels.inc"
#undef SPARSENAS_DEPTHWISE

KernelList<DepthwiseArgs> DepthwiseKernels() {
  static constexpr Kernel<DepthwiseArgs> kKernels[] = {
#define SPARSENAS_DEPTHWISE(run, name, isa) {name, isa, run},
#include "kernels/depthwise/kernels.inc"
#undef SPARSENAS_DEPTHWISE
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

}  // namespace sparsenas
