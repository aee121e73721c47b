// Dense convolution of any odd kernel K x K, stride 1 or 2, padding K / 2.
//
//   out[d, y, x] = activation(bias[d] + sum_{c, r, s} weight[d, c, r, s] *
//                             in[c, y * S + r - K / 2, x * S + s - K / 2])
//
// where S is the stride and pixels outside the image are zero. `in` and `out` are CHW tensors
// (kernels/tensor.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>

#include "base/aligned.h"
#include "kernels/activation.h"
#include "kernels/conv_panel.h"
#include "kernels/kernel.h"

namespace sparsenas {

// Output channels whose weights are side by side. Divisible by what every kernel holds in
// registers, so that one packing serves all instruction sets.
constexpr size_t kConvDenseGroup = 8;

// Vectors of pixels whose sums stay in registers at a time.
constexpr size_t kConvDenseVectors = 3;

// Whether one pixel is more than whole vectors, of 49 say: a vector of it would be almost empty, so
// that output channels lie side by side in narrow vectors instead. 7x7 pixels in 16 lanes would
// take two tiles, and all weights twice through memory. Sixteen registers have no room for it.
constexpr bool ConvDenseOnePixelMore(size_t pixels, size_t lanes, size_t registers) {
  return registers >= 32 && pixels > lanes && pixels % lanes == 1;
}

struct ConvDenseArgs {
  ConvInput in;
  size_t out_channels;        // D
  size_t out_stride;          // Floats between output channels.
  size_t pitch;               // Floats of a row of the panel.
  size_t parts;               // The taps are taken in parts; those of one part fill a panel.
  const uint32_t* part_taps;  // [parts]
  const ConvTap* taps;        // [C * K * K], part by part.
  const float* weight;        // Part by part [ceil(D / 8), taps, 8], zeros where D ends.
  const float* bias;          // [ceil(D / 8), 8].
  float* out;                 // [D, out_stride], not overlapping the input.
  float* scratch;             // ConvDenseScratchFloats(...), 64-byte aligned.
  ActivationArgs activation;
  // Of so many shares of the pixels this call computes one: threads take one each.
  size_t share = 0, shares = 1;
};

struct ConvDenseWeights {
  size_t in_channels = 0;
  size_t out_channels = 0;
  size_t kernel = 0;
  size_t pitch = 0;
  AlignedArray<uint32_t> part_taps;
  AlignedArray<ConvTap> taps;
  AlignedArray<float> weight;
  AlignedArray<float> bias;

  // Sets the fields of `args` that come from the weights.
  void Fill(ConvDenseArgs& args) const;
  size_t bytes() const { return part_taps.bytes() + taps.bytes() + weight.bytes() + bias.bytes(); }

  // Its sizes, then its arrays: what a model file keeps.
  template <class Self>
  static auto Fields(Self& self) {
    return std::tie(self.in_channels, self.out_channels, self.kernel, self.pitch, self.part_taps,
                    self.taps, self.weight, self.bias);
  }
};

// Packs weight [D, C, K, K] and bias [D]. `pixels` (of the output) and `isa` decide how many taps
// fit in the cache at a time: other ones give the same result, slower. Fails on values that are not
// finite, on empty sizes and on even kernels.
ConvDenseWeights PackConvDense(const float* weight, const float* bias, size_t out_channels,
                               size_t in_channels, size_t kernel, size_t pixels, Isa isa);

// See kernels/flaw.h.
const char* FlawOf(const ConvDenseWeights& packed, size_t out_channels, size_t in_channels,
                   size_t kernel, Isa isa);

// Floats of scratch memory a kernel needs. All sizes are of the input.
size_t ConvDenseScratchFloats(size_t height, size_t width, size_t in_channels, size_t kernel,
                              size_t stride);

KernelList<ConvDenseArgs> ConvDenseKernels();
inline const Kernel<ConvDenseArgs>& BestConvDense(Isa isa) { return ConvDenseKernels().Best(isa); }

}  // namespace sparsenas
