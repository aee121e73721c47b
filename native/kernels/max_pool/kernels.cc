#include "kernels/max_pool/max_pool.h"

namespace sparsenas {

#define SPARSENAS_MAX_POOL(run, name, isa) void run(const PoolArgs&);
#include "kernels/max_pool/kernels.inc"
#undef SPARSENAS_MAX_POOL

KernelList<PoolArgs> MaxPoolKernels() {
  static constexpr Kernel<PoolArgs> kKernels[] = {
#define SPARSENAS_MAX_POOL(run, name, isa) {name, isa, run},
#include "kernels/max_pool/kernels.inc"
#undef SPARSENAS_MAX_POOL
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

}  // namespace sparsenas
