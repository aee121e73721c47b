#include "kernels/multiply/multiply.h"

namespace sparsenas {

#define SPARSENAS_MULTIPLY(run, name, isa) void run(const MultiplyArgs&);
#include "kernels/multiply/kernels.inc"
#undef SPARSENAS_MULTIPLY

KernelList<MultiplyArgs> MultiplyKernels() {
  static constexpr Kernel<MultiplyArgs> kKernels[] = {
#define SPARSENAS_MULTIPLY(run, name, isa) {name, isa, run},
#include "kernels/multiply/kernels.inc"
#undef SPARSENAS_MULTIPLY
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

}  // namespace sparsenas
