#include "kernels/conv_dense/conv_dense.h"

namespace sparsenas {

#define SPARSENAS_CONV_DENSE(run, name, isa) void run(const ConvDenseArgs&);
#include "kernels/conv_dense/kernels.inc"
#undef SPARSENAS_CONV_DENSE

KernelList<ConvDenseArgs> ConvDenseKernels() {
  static constexpr Kernel<ConvDenseArgs> kKernels[] = {
#define SPARSENAS_CONV_DENSE(run, name, isa) {name, isa, run},
#include "kernels/conv_dense/kernels.inc"
#undef SPARSENAS_CONV_DENSE
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

}  // namespace sparsenas
