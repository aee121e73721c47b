#include "kernels/conv_pattern/conv_pattern.h"

namespace sparsenas {

#define SPARSENAS_CONV_PATTERN(run, name, isa) void run(const ConvPatternArgs&);
#include "kernels/conv_pattern/kernels.inc"
#undef SPARSENAS_CONV_PATTERN

KernelList<ConvPatternArgs> ConvPatternKernels() {
  static constexpr Kernel<ConvPatternArgs> kKernels[] = {
#define SPARSENAS_CONV_PATTERN(run, name, isa) {name, isa, run},
#include "kernels/conv_pattern/kernels.inc"
#undef SPARSENAS_CONV_PATTERN
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

}  // namespace sparsenas
