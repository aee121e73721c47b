// Convolution 3x3 with kernels of at most four weights each, stride 1 or 2, padding 1.
//
//   out[d, y, x] = activation(bias[d] + sum_{c, r, s} weight[d, c, r, s] *
//                             in[c, y * S + r - 1, x * S + s - 1])
//
// where S is the stride and pixels outside the image are zero. `in` and `out` are CHW tensors
// (kernels/tensor.h). Of a kernel weight[d, c], either nothing is left or the centre and up to
// three more taps; which, is its pattern (patterns.h). The fewer different patterns there are, the
// faster: kernels of one input channel and one pattern follow each other, whatever output channel
// they belong to, and share the loads of their taps. After Ma et al., 2020
// (https://arxiv.org/abs/1909.05073).
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>

#include "base/aligned.h"
#include "kernels/activation.h"
#include "kernels/conv_panel.h"
#include "kernels/conv_pattern/patterns.h"
#include "kernels/kernel.h"
#include "kernels/sparse_rows.h"

namespace sparsenas {

// Kernels of one input channel and one pattern, which follow each other and share their taps: for
// the kernels that hold nine taps,
struct ConvPatternGroup {
  uint32_t pattern;  // Its number (patterns.h).
  uint32_t kernels;
};

// and for those that hold four.
struct ConvPatternFour {
  uint32_t tap[kConvPatternTaps];  // Bytes to them in the padded input (padded.h).
  uint32_t kernels;
};

// Groups that follow each other: where nine taps are held, those of one input channel, where four,
// all of a block.
struct ConvPatternRun {
  uint32_t channel;  // Bytes to it in the padded input, if it is one.
  uint32_t groups;
};

// Kernels beyond the last that may be read; fours, one less.
constexpr size_t kConvPatternAhead = 2;

struct ConvPatternKernel {
  uint32_t row;  // Its output channel, counted from the first of the block.
  float weight[kConvPatternTaps];
};

struct ConvPatternArgs {
  ConvInput in;
  size_t out_channels;             // D
  size_t out_stride;               // Floats between output channels.
  size_t strip;                    // Output rows whose input is padded at a time.
  size_t block;                    // Output channels whose sums are in the level 1 cache at a time.
  const uint32_t* runs_of;         // [ceil(D / block)]
  const ConvPatternRun* runs;      // In the order of `runs_of`.
  const ConvPatternGroup* groups;  // In the order of `runs`, or none; then one more.
  const ConvPatternFour* fours;    // Likewise.
  const ConvPatternKernel* kernels;  // In the order of either; then kConvPatternAhead more.
  const float* bias;                 // [D]
  float* out;                        // [D, out_stride], not overlapping the input.
  float* scratch;                    // ConvPatternScratchFloats(...), 64-byte aligned.
  ActivationArgs activation;
  // Of so many shares of the pixels this call computes one: threads take one each.
  size_t share = 0, shares = 1;
};

struct ConvPatternWeights {
  size_t in_channels = 0;
  size_t out_channels = 0;
  size_t strip = 0;
  size_t block = 0;
  AlignedArray<uint32_t> runs_of;
  AlignedArray<ConvPatternRun> runs;
  AlignedArray<ConvPatternGroup> groups;
  AlignedArray<ConvPatternFour> fours;
  AlignedArray<ConvPatternKernel> kernels;
  AlignedArray<float> bias;

  // Sets the fields of `args` that come from the weights.
  void Fill(ConvPatternArgs& args) const;
  size_t bytes() const {
    return runs_of.bytes() + runs.bytes() + groups.bytes() + fours.bytes() + kernels.bytes() +
           bias.bytes();
  }

  // Its sizes, then its arrays: what a model file keeps.
  template <class Self>
  static auto Fields(Self& self) {
    return std::tie(self.in_channels, self.out_channels, self.strip, self.block, self.runs_of,
                    self.runs, self.groups, self.fours, self.kernels, self.bias);
  }
};

// Packs a sparse [D, C * 9], columns (c * 3 + r) * 3 + s, and bias [D] for an input of height x
// width. `isa` decides how many sums fit in the cache at a time, `strip` how many rows; where it is
// 0, ConvPatternStripRows. Others give the same result, slower. Fails on what CheckSparseRows and
// CheckFinite refuse, on columns that are no multiple of 9, on kernels with more than three
// nonzeros besides the centre and on inputs too large for 32-bit offsets.
ConvPatternWeights PackConvPattern(const SparseRows& weight, const float* bias, size_t height,
                                   size_t width, size_t stride, Isa isa, size_t strip = 0);

// Whether the kernel for `isa` holds all nine taps of an input channel in registers, or four.
bool ConvPatternHoldsNine(Isa isa);

// See kernels/flaw.h. Sizes are of the input.
const char* FlawOf(const ConvPatternWeights& packed, size_t out_channels, size_t in_channels,
                   size_t height, size_t width, size_t stride, Isa isa);

// Rows of a strip for a layer of these sizes, which are of the input (padded.h).
size_t ConvPatternStripRows(size_t height, size_t width, size_t in_channels, size_t stride);

// Floats of scratch memory a kernel needs. All sizes are of the input; `strip` as for packing.
size_t ConvPatternScratchFloats(size_t height, size_t width, size_t in_channels,
                                size_t out_channels, size_t stride, size_t strip = 0);

KernelList<ConvPatternArgs> ConvPatternKernels();
inline const Kernel<ConvPatternArgs>& BestConvPattern(Isa isa) {
  return ConvPatternKernels().Best(isa);
}

}  // namespace sparsenas
