#include "kernels/add/add.h"

namespace sparsenas {

#define SPARSENAS_ADD(run, name, isa) void run(const AddArgs&);
#include "kernels/add/kernels.inc"
#undef SPARSENAS_ADD

KernelList<AddArgs> AddKernels() {
  static constexpr Kernel<AddArgs> kKernels[] = {
#define SPARSENAS_ADD(run, name, isa) {name, isa, run},
#include "kernels/add/kernels.inc"
#undef SPARSENAS_ADD
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

}  // namespace sparsenas
