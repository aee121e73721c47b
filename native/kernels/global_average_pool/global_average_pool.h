// The mean of every channel.
//
//   out[c] = activation(sum_p in[c, p] / P)
#pragma once

#include <cstddef>

#include "kernels/activation.h"
#include "kernels/kernel.h"

namespace sparsenas {

struct GlobalAveragePoolArgs {
  size_t channels;    // C
  size_t pixels;      // P
  size_t in_stride;   // Floats between channels.
  size_t out_stride;  // Floats between means: 1 for a vector, more for a CHW tensor of one pixel.
  const float* in;    // [C, in_stride]
  float* out;         // (C - 1) * out_stride + 1 floats.
  ActivationArgs activation;
};

KernelList<GlobalAveragePoolArgs> GlobalAveragePoolKernels();
inline const Kernel<GlobalAveragePoolArgs>& BestGlobalAveragePool(Isa isa) {
  return GlobalAveragePoolKernels().Best(isa);
}

}  // namespace sparsenas
