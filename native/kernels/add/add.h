// Adds two tensors, as at the end of a residual block.
//
//   out[c, p] = activation(a[c, p] + b[c, p])
#pragma once

#include <cstddef>

#include "kernels/activation.h"
#include "kernels/kernel.h"

namespace sparsenas {

struct AddArgs {
  size_t channels;  // C
  size_t pixels;    // P
  size_t a_stride;  // Floats between channels.
  size_t b_stride;
  size_t out_stride;
  const float* a;  // [C, a_stride]
  const float* b;  // [C, b_stride]
  float* out;      // [C, out_stride]; may be `a` or `b` itself where the strides agree.
  ActivationArgs activation;
};

KernelList<AddArgs> AddKernels();
inline const Kernel<AddArgs>& BestAdd(Isa isa) { return AddKernels().Best(isa); }

}  // namespace sparsenas
