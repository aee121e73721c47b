#include "kernels/conv_direct/conv_direct.h"

namespace sparsenas {

#define SPARSENAS_CONV_DIRECT(run, name, isa) void run(const ConvDirectArgs&);
#include "kernels/conv_direct/kernels.inc"
#undef SPARSENAS_CONV_DIRECT

KernelList<ConvDirectArgs> ConvDirectKernels() {
  static constexpr Kernel<ConvDirectArgs> kKernels[] = {
#define SPARSENAS_CONV_DIRECT(run, name, isa) {name, isa, run},
#include "kernels/conv_direct/kernels.inc"
#undef SPARSENAS_CONV_DIRECT
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

}  // namespace sparsenas
