// The first convolution of a network: reads an HWC image, writes CHW.
//
//   out[d, y, x] = activation(
//       bias[d] + sum_{r, s, c} weight[d, r, s, c] * in[y * S + r - P, x * S + s - P, c])
//
// where K is 3, 5, 7 or 11, S is the stride, 1 to 4, P is the padding, 0 to K / 2, and pixels
// outside the image are zero.
#pragma once

#include <cstddef>
#include <tuple>

#include "base/aligned.h"
#include "kernels/activation.h"
#include "kernels/kernel.h"

namespace sparsenas {

constexpr size_t kConvHwcMostStride = 4;

// Output channels that share each load of the image.
constexpr size_t kConvHwcGroup = 8;

struct ConvHwcArgs {
  size_t kernel;        // K
  size_t height;        // Of the image.
  size_t width;         // Of the image.
  size_t in_channels;   // C
  size_t out_channels;  // D
  size_t stride;        // S
  size_t padding;       // P. The output is WindowsAlong(height, K, S, P) high.
  size_t out_stride;    // Floats between output channels.
  const float* weight;  // [ceil(D / 8), r, C, s, 8], zeros where D ends.
  const float* bias;    // [ceil(D / 8), 8].
  const float* in;      // [height, width, C], any alignment.
  float* out;           // [D, out_stride]
  float* scratch;       // ConvHwcScratchFloats(...), 64-byte aligned, anything in it.
  ActivationArgs activation;
  // Of so many shares of the output's rows this call computes one: threads take one each.
  size_t share = 0, shares = 1;
};

struct ConvHwcWeights {
  size_t kernel = 0;
  size_t in_channels = 0;
  size_t out_channels = 0;
  AlignedArray<float> weight;
  AlignedArray<float> bias;

  // Sets the fields of `args` that come from the weights.
  void Fill(ConvHwcArgs& args) const;

  // Its sizes, then its arrays: what a model file keeps.
  template <class Self>
  static auto Fields(Self& self) {
    return std::tie(self.kernel, self.in_channels, self.out_channels, self.weight, self.bias);
  }
};

// Packs weight [D, K, K, C] and bias [D]. Fails on values that are not finite, on empty sizes and
// on kernels other than 3, 5, 7 and 11.
ConvHwcWeights PackConvHwc(const float* weight, const float* bias, size_t out_channels,
                           size_t in_channels, size_t kernel);

// See kernels/flaw.h.
const char* FlawOf(const ConvHwcWeights& packed, size_t out_channels, size_t in_channels,
                   size_t kernel);

// Floats of scratch memory a kernel needs: a few rows of the image, channel by channel.
size_t ConvHwcScratchFloats(size_t width, size_t in_channels, size_t kernel, size_t stride,
                            size_t padding);

KernelList<ConvHwcArgs> ConvHwcKernels();
inline const Kernel<ConvHwcArgs>& BestConvHwc(Isa isa) { return ConvHwcKernels().Best(isa); }

}  // namespace sparsenas
