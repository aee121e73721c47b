// Direct sparse convolution of any odd kernel K x K, stride 1 or 2, padding K / 2.
//
//   out[d, y, x] = activation(bias[d] + sum_{c, r, s} weight[d, c, r, s] *
//                             in[c, y * S + r - K / 2, x * S + s - K / 2])
//
// where S is the stride and pixels outside the image are zero. `in` and `out` are CHW tensors
// (kernels/tensor.h). Each nonzero weight is multiplied with a tile of pixels at a place known when
// the weights are packed, as in Park et al., 2017 (https://arxiv.org/abs/1608.01409); what is at
// that place is said in kernels/conv_panel.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>

#include "base/aligned.h"
#include "kernels/activation.h"
#include "kernels/conv_panel.h"
#include "kernels/kernel.h"
#include "kernels/sparse_rows.h"

namespace sparsenas {

// The most vectors of pixels whose sums stay in registers at a time. Wider tiles share the work for
// each nonzero among more multiply-adds, but fewer taps of theirs fit in a panel, so that sums are
// loaded and stored again after fewer nonzeros: with 12 vectors, 90% zeros took 5% longer.
constexpr size_t kConvDirectVectors = 6;

// Nonzeros come in fours, the last of a row possibly fewer: loads are what the loop waits for, and
// four offsets are loaded as one number and four values as one vector.
constexpr size_t kConvDirectFour = 4;

struct ConvDirectNonzeros {
  uint16_t offset[kConvDirectFour];  // Bytes from the start of the panel to the pixels.
  float value[kConvDirectFour];
};

// Fours beyond the last that a kernel may read.
constexpr size_t kConvDirectAhead = 2;

// The nonzeros of an output channel that multiply one panel.
struct ConvDirectRow {
  uint32_t channel;
  uint32_t nonzeros;
};

// The taps are taken in parts; those of one part fill a panel.
struct ConvDirectPart {
  uint32_t taps;
  uint32_t rows;  // Output channels with nonzeros among them; all in the first and last part.
};

struct ConvDirectArgs {
  ConvInput in;
  size_t out_channels;  // D
  size_t out_stride;    // Floats between output channels.
  size_t pitch;         // Floats of a row of the panel.
  size_t parts;
  const ConvDirectPart* part;          // [parts]
  const ConvTap* taps;                 // In the order of `part`.
  const ConvDirectRow* rows;           // In the order of `part`.
  const ConvDirectNonzeros* nonzeros;  // In the order of `rows`; then kConvDirectAhead more.
  const float* bias;                   // [D]
  float* out;                          // [D, out_stride], not overlapping the input.
  float* scratch;                      // ConvDirectScratchFloats(...), 64-byte aligned.
  ActivationArgs activation;
  // Of so many shares of the pixels this call computes one: threads take one each.
  size_t share = 0, shares = 1;
};

struct ConvDirectWeights {
  size_t in_channels = 0;
  size_t out_channels = 0;
  size_t kernel = 0;
  size_t pitch = 0;
  AlignedArray<ConvDirectPart> part;
  AlignedArray<ConvTap> taps;
  AlignedArray<ConvDirectRow> rows;
  AlignedArray<ConvDirectNonzeros> nonzeros;
  AlignedArray<float> bias;

  // Sets the fields of `args` that come from the weights.
  void Fill(ConvDirectArgs& args) const;
  size_t bytes() const {
    return part.bytes() + taps.bytes() + rows.bytes() + nonzeros.bytes() + bias.bytes();
  }

  // Its sizes, then its arrays: what a model file keeps.
  template <class Self>
  static auto Fields(Self& self) {
    return std::tie(self.in_channels, self.out_channels, self.kernel, self.pitch, self.part,
                    self.taps, self.rows, self.nonzeros, self.bias);
  }
};

// Packs a sparse [D, C * K * K], columns (c * K + r) * K + s, and bias [D]. `pixels` (of the
// output) and `isa` decide how wide tiles are and how many taps fit in the cache at a time: other
// ones give the same result, slower. Fails on what CheckSparseRows and CheckFinite refuse and on
// kernels that are even or do not divide the columns.
ConvDirectWeights PackConvDirect(const SparseRows& weight, const float* bias, size_t kernel,
                                 size_t pixels, Isa isa);

// See kernels/flaw.h.
const char* FlawOf(const ConvDirectWeights& packed, size_t out_channels, size_t in_channels,
                   size_t kernel, Isa isa);

// Floats of scratch memory a kernel needs. All sizes are of the input.
size_t ConvDirectScratchFloats(size_t height, size_t width, size_t in_channels, size_t kernel,
                               size_t stride);

KernelList<ConvDirectArgs> ConvDirectKernels();
inline const Kernel<ConvDirectArgs>& BestConvDirect(Isa isa) {
  return ConvDirectKernels().Best(isa);
}

}  // namespace sparsenas
