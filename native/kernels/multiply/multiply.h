// Multiplies two tensors, or the channels of a tensor by one number each, as in
// squeeze-and-excitation.
//
//   out[c, p] = activation(a[c, p] * b[c, p])
//   out[c, p] = activation(a[c, p] * b[c])      where b_pixels is 1
#pragma once

#include <cstddef>

#include "kernels/activation.h"
#include "kernels/kernel.h"

namespace sparsenas {

struct MultiplyArgs {
  size_t channels;  // C
  size_t pixels;    // P
  size_t b_pixels;  // P or 1.
  size_t a_stride;  // Floats between channels.
  size_t b_stride;  // 1 where b is a vector [C].
  size_t out_stride;
  const float* a;  // [C, a_stride]
  const float* b;  // [C, b_stride]
  float* out;      // [C, out_stride]; may be `a` or `b` itself where pixels and strides agree.
  ActivationArgs activation;
};

KernelList<MultiplyArgs> MultiplyKernels();
inline const Kernel<MultiplyArgs>& BestMultiply(Isa isa) { return MultiplyKernels().Best(isa); }

}  // namespace sparsenas
