#include "kernels/global_average_pool/global_average_pool.h"

namespace sparsenas {

#define SPARSENAS_GLOBAL_AVERAGE_POOL(run, name, isa) void run(const GlobalAveragePoolArgs&);
#include "kernels/global_average_pool/kernels.inc"
#undef SPARSENAS_GLOBAL_AVERAGE_POOL

KernelList<GlobalAveragePoolArgs> GlobalAveragePoolKernels() {
  static constexpr Kernel<GlobalAveragePoolArgs> kKernels[] = {
#define SPARSENAS_GLOBAL_AVERAGE_POOL(run, name, isa) {name, isa, run},
#include "kernels/global_average_pool/kernels.inc"
#undef SPARSENAS_GLOBAL_AVERAGE_POOL
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

}  // namespace sparsenas
