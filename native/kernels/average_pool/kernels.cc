#include "kernels/average_pool/average_pool.h"

namespace sparsenas {

#define SPARSENAS_AVERAGE_POOL(run, name, isa) void run(const PoolArgs&);
#include "kernels/average_pool/kernels.inc"
#undef SPARSENAS_AVERAGE_POOL

KernelList<PoolArgs> AveragePoolKernels() {
  static constexpr Kernel<PoolArgs> kKernels[] = {
#define SPARSENAS_AVERAGE_POOL(run, name, isa) {name, isa, run},
#include "kernels/average_pool/kernels.inc"
#undef SPARSENAS_AVERAGE_POOL
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

}  // namespace sparsenas
