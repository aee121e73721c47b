#include "kernels/conv1x1/conv1x1.h"

namespace sparsenas {

#define SPARSENAS_CONV1X1_DENSE(run, name, isa) void run(const Conv1x1DenseArgs&);
#define SPARSENAS_CONV1X1_UNSTRUCTURED(run, name, isa) void run(const Conv1x1UnstructuredArgs&);
#define SPARSENAS_CONV1X1_BLOCK2(run, name, isa) void run(const Conv1x1Block2Args&);
#define SPARSENAS_CONV1X1_BLOCK4(run, name, isa) void run(const Conv1x1Block4Args&);
#include "kernels/conv1x1/kernels.inc"
#undef SPARSENAS_CONV1X1_BLOCK4
#undef SPARSENAS_CONV1X1_BLOCK2
#undef SPARSENAS_CONV1X1_UNSTRUCTURED
#undef SPARSENAS_CONV1X1_DENSE

KernelList<Conv1x1DenseArgs> Conv1x1DenseKernels() {
  static constexpr Kernel<Conv1x1DenseArgs> kKernels[] = {
#define SPARSENAS_CONV1X1_DENSE(run, name, isa) {name, isa, run},
#define SPARSENAS_CONV1X1_UNSTRUCTURED(run, name, isa)
#define SPARSENAS_CONV1X1_BLOCK2(run, name, isa)
#define SPARSENAS_CONV1X1_BLOCK4(run, name, isa)
#include "kernels/conv1x1/kernels.inc"
#undef SPARSENAS_CONV1X1_BLOCK4
#undef SPARSENAS_CONV1X1_BLOCK2
#undef SPARSENAS_CONV1X1_UNSTRUCTURED
#undef SPARSENAS_CONV1X1_DENSE
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

KernelList<Conv1x1UnstructuredArgs> Conv1x1UnstructuredKernels() {
  static constexpr Kernel<Conv1x1UnstructuredArgs> kKernels[] = {
#define SPARSENAS_CONV1X1_DENSE(run, name, isa)
#define SPARSENAS_CONV1X1_UNSTRUCTURED(run, name, isa) {name, isa, run},
#define SPARSENAS_CONV1X1_BLOCK2(run, name, isa)
#define SPARSENAS_CONV1X1_BLOCK4(run, name, isa)
#include "kernels/conv1x1/kernels.inc"
#undef SPARSENAS_CONV1X1_BLOCK4
#undef SPARSENAS_CONV1X1_BLOCK2
#undef SPARSENAS_CONV1X1_UNSTRUCTURED
#undef SPARSENAS_CONV1X1_DENSE
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

KernelList<Conv1x1Block2Args> Conv1x1Block2Kernels() {
  static constexpr Kernel<Conv1x1Block2Args> kKernels[] = {
#define SPARSENAS_CONV1X1_DENSE(run, name, isa)
#define SPARSENAS_CONV1X1_UNSTRUCTURED(run, name, isa)
#define SPARSENAS_CONV1X1_BLOCK2(run, name, isa) {name, isa, run},
#define SPARSENAS_CONV1X1_BLOCK4(run, name, isa)
#include "kernels/conv1x1/kernels.inc"
#undef SPARSENAS_CONV1X1_BLOCK4
#undef SPARSENAS_CONV1X1_BLOCK2
#undef SPARSENAS_CONV1X1_UNSTRUCTURED
#undef SPARSENAS_CONV1X1_DENSE
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

KernelList<Conv1x1Block4Args> Conv1x1Block4Kernels() {
  static constexpr Kernel<Conv1x1Block4Args> kKernels[] = {
#define SPARSENAS_CONV1X1_DENSE(run, name, isa)
#define SPARSENAS_CONV1X1_UNSTRUCTURED(run, name, isa)
#define SPARSENAS_CONV1X1_BLOCK2(run, name, isa)
#define SPARSENAS_CONV1X1_BLOCK4(run, name, isa) {name, isa, run},
#include "kernels/conv1x1/kernels.inc"
#undef SPARSENAS_CONV1X1_BLOCK4
#undef SPARSENAS_CONV1X1_BLOCK2
#undef SPARSENAS_CONV1X1_UNSTRUCTURED
#undef SPARSENAS_CONV1X1_DENSE
  };
  return {kKernels, sizeof(kKernels) / sizeof(kKernels[0])};
}

}  // namespace sparsenas
