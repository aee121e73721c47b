#include "kernels/conv_hwc/conv_hwc.h"

namespace sparsenas {

#define SPARSENAS_CONV_HWC(run, name, isa) void run(const ConvHwcArgs&);
#include "kernels/conv_hwc/kernels.inc"
#undef SPARSENAS_CONV_HWC

KernelList<ConvHwcArgs> ConvHwcKernels() {
  static constexpr Kernel<ConvHwcArgs> kKernels[] = {
#define SPARSENAS_CONV_HWC(run, name, isa) {name, isa, run},
#include "kernels/conv_hwc/kernels.inc"
#undef SPARSENAS_CONV_HWC
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

}  // namespace sparsenas
