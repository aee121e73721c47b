// Depthwise convolution: every channel has its own K x K filter.
//
//   out[c, y, x] = activation(
//       bias[c] + sum_{r, s} weight[c, r, s] * in[c, y * S + r - K / 2, x * S + s - K / 2])
//
// where K is 3, 5 or 7, S is the stride, 1 or 2, and pixels outside the image are zero. CHW in and
// out.
#pragma once

#include <cstddef>
#include <tuple>

#include "base/aligned.h"
#include "kernels/activation.h"
#include "kernels/kernel.h"

namespace sparsenas {

struct DepthwiseArgs {
  size_t kernel;     // K
  size_t channels;   // C
  size_t height;     // Of the input.
  size_t width;      // Of the input.
  size_t stride;     // S, 1 or 2. The output is OutSide(height, S) x OutSide(width, S).
  size_t in_stride;  // Floats between channels.
  size_t out_stride;
  const float* weight;  // [C, K, K]
  const float* bias;    // [C]
  const float* in;      // [C, in_stride]
  float* out;           // [C, out_stride], not overlapping `in`.
  ActivationArgs activation;
};

struct DepthwiseWeights {
  size_t kernel = 0;
  size_t channels = 0;
  AlignedArray<float> weight;
  AlignedArray<float> bias;

  // Sets the fields of `args` that come from the weights.
  void Fill(DepthwiseArgs& args) const;

  // Its sizes, then its arrays: what a model file keeps.
  template <class Self>
  static auto Fields(Self& self) {
    return std::tie(self.kernel, self.channels, self.weight, self.bias);
  }
};

// Copies weight [C, K, K] and bias [C]. Fails on values that are not finite, on no channels and on
// kernels other than 3, 5 and 7.
DepthwiseWeights PackDepthwise(const float* weight, const float* bias, size_t channels,
                               size_t kernel);

// See kernels/flaw.h.
const char* FlawOf(const DepthwiseWeights& packed, size_t channels, size_t kernel);

KernelList<DepthwiseArgs> DepthwiseKernels();
inline const Kernel<DepthwiseArgs>& BestDepthwise(Isa isa) { return DepthwiseKernels().Best(isa); }

}  // namespace sparsenas
