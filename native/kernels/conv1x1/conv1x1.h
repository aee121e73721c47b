// 1x1 convolution: every pixel's channels times a matrix.
//
//   out[d, p] = activation(bias[d] + sum_c weight[d, c] * in[c, p])
//
// `in` and `out` are CHW tensors (kernels/tensor.h), so that one weight multiplies a contiguous run
// of pixels. The weights are packed once, dense, sparse, or sparse in blocks of 2 or 4 output
// channels that have their zeros in the same places; each packing has its own list of kernels. The
// sparse ones follow Elsen et al., 2020 (https://arxiv.org/abs/1911.09723).
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>

#include "base/aligned.h"
#include "kernels/activation.h"
#include "kernels/kernel.h"
#include "kernels/sparse_rows.h"

namespace sparsenas {

// Dense.

// Output channels that share each load of activations. Divisible by what every kernel holds in
// registers, so that one packing serves all instruction sets.
constexpr size_t kConv1x1Group = 8;

struct Conv1x1DenseArgs {
  size_t pixels;        // P
  size_t in_channels;   // C
  size_t out_channels;  // D
  size_t in_stride;     // Floats between channels.
  size_t out_stride;
  size_t block;         // Output channels whose weights stay in the level 2 cache, divisible by 8.
  const float* weight;  // [ceil(D / 8), C, 8], zeros where D ends.
  const float* bias;    // [ceil(D / 8), 8].
  const float* in;      // [C, in_stride]
  float* out;           // [D, out_stride], not overlapping `in`.
  ActivationArgs activation;
};

struct Conv1x1DenseWeights {
  size_t in_channels = 0;
  size_t out_channels = 0;
  size_t block = 0;
  AlignedArray<float> weight;
  AlignedArray<float> bias;

  // Sets the fields of `args` that come from the weights.
  void Fill(Conv1x1DenseArgs& args) const;

  // Its sizes, then its arrays: what a model file keeps.
  template <class Self>
  static auto Fields(Self& self) {
    return std::tie(self.in_channels, self.out_channels, self.block, self.weight, self.bias);
  }
};

// Packs weight [D, C] and bias [D]. Fails on values that are not finite and on empty sizes.
Conv1x1DenseWeights PackConv1x1Dense(const float* weight, const float* bias, size_t out_channels,
                                     size_t in_channels);

// See kernels/flaw.h.
const char* FlawOf(const Conv1x1DenseWeights& packed, size_t out_channels, size_t in_channels);

KernelList<Conv1x1DenseArgs> Conv1x1DenseKernels();
inline const Kernel<Conv1x1DenseArgs>& BestConv1x1Dense(Isa isa) {
  return Conv1x1DenseKernels().Best(isa);
}

// Sparse. A block of kRows output channels shares its places of nonzeros and so its loads of
// activations; kRows is 1 for unstructured weights.

// What one step of the loop takes: two nonzeros of a block, each the place of an input channel and
// a weight for each output channel of the block, zeros among them. Two, because the loop is bound
// by the number of its loads: both offsets arrive in one, and the weights in fewer, which makes
// unstructured weights a tenth faster. In the last step of an odd number the second is not used.
template <int kRows>
struct Conv1x1Step {
  uint64_t
      offsets;  // Bytes from the first channel of `in`: of the first nonzero in the lower half.
  float value[2][kRows];
};

template <int kRows>
struct Conv1x1SparseArgs {
  size_t pixels;                    // P
  size_t out_channels;              // D
  size_t out_stride;                // Floats between channels.
  size_t tile;                      // The most vectors of pixels to take at a time.
  size_t parts;                     // B: input channels are taken in so many parts.
  const uint32_t* counts;           // [B, ceil(D / kRows)], nonzeros of each block in each part.
  const Conv1x1Step<kRows>* steps;  // In the order of `counts`, ceil(count / 2) each.
  const float* bias;                // [ceil(D / kRows), kRows]
  const float* in;                  // [C, in_stride]; `steps` know in_stride.
  float* out;                       // [D, out_stride], not overlapping `in`.
  ActivationArgs activation;
};

template <int kRows>
struct Conv1x1SparseWeights {
  size_t in_channels = 0;
  size_t out_channels = 0;
  size_t in_stride = 0;
  size_t tile = 0;
  size_t parts = 0;
  AlignedArray<uint32_t> counts;
  AlignedArray<Conv1x1Step<kRows>> steps;
  AlignedArray<float> bias;

  // Sets the fields of `args` that come from the weights.
  void Fill(Conv1x1SparseArgs<kRows>& args) const {
    args.out_channels = out_channels;
    args.tile = tile;
    args.parts = parts;
    args.counts = counts.data();
    args.steps = steps.data();
    args.bias = bias.data();
  }

  size_t bytes() const { return counts.bytes() + steps.bytes() + bias.bytes(); }

  // Its sizes, then its arrays: what a model file keeps.
  template <class Self>
  static auto Fields(Self& self) {
    return std::tie(self.in_channels, self.out_channels, self.in_stride, self.tile, self.parts,
                    self.counts, self.steps, self.bias);
  }
};

using Conv1x1UnstructuredArgs = Conv1x1SparseArgs<1>;
using Conv1x1UnstructuredWeights = Conv1x1SparseWeights<1>;
using Conv1x1Block2Args = Conv1x1SparseArgs<2>;
using Conv1x1Block2Weights = Conv1x1SparseWeights<2>;
using Conv1x1Block4Args = Conv1x1SparseArgs<4>;
using Conv1x1Block4Weights = Conv1x1SparseWeights<4>;

// Packs a sparse [D, C] and bias [D] for activations whose channels are `in_stride` floats apart,
// in blocks of kRows (1, 2 or 4) rows: row d is in block d / kRows, the last block may have fewer,
// and where one row of a block has a nonzero the others may have zeros, which are stored and cost
// time (CountBlocks in kernels/sparse_rows.h). `pixels` and `isa` decide how many pixels and
// input channels are taken at a time: other ones give the same result, slower. Fails on what
// CheckSparseRows and CheckFinite refuse and on tensors too large for 32-bit offsets.
template <int kRows>
Conv1x1SparseWeights<kRows> PackConv1x1Block(const SparseRows& weight, const float* bias,
                                             size_t in_stride, size_t pixels, Isa isa);
inline Conv1x1UnstructuredWeights PackConv1x1Unstructured(const SparseRows& weight,
                                                          const float* bias, size_t in_stride,
                                                          size_t pixels, Isa isa) {
  return PackConv1x1Block<1>(weight, bias, in_stride, pixels, isa);
}

// See kernels/flaw.h.
template <int kRows>
const char* FlawOf(const Conv1x1SparseWeights<kRows>& packed, size_t out_channels,
                   size_t in_channels, size_t in_stride);

KernelList<Conv1x1UnstructuredArgs> Conv1x1UnstructuredKernels();
inline const Kernel<Conv1x1UnstructuredArgs>& BestConv1x1Unstructured(Isa isa) {
  return Conv1x1UnstructuredKernels().Best(isa);
}

KernelList<Conv1x1Block2Args> Conv1x1Block2Kernels();
inline const Kernel<Conv1x1Block2Args>& BestConv1x1Block2(Isa isa) {
  return Conv1x1Block2Kernels().Best(isa);
}

KernelList<Conv1x1Block4Args> Conv1x1Block4Kernels();
inline const Kernel<Conv1x1Block4Args>& BestConv1x1Block4(Isa isa) {
  return Conv1x1Block4Kernels().Best(isa);
}

// Rows of a block whose sums are in registers at a time. Of 16 registers, 4 rows would leave too
// few for enough sums in each: they go in two passes.
constexpr int Conv1x1HeldRows(size_t registers, int rows) {
  return rows > 2 && registers < 32 ? 2 : rows;
}

// The most vectors of pixels in a tile, of kernels for vectors of so many lanes and registers. Wide
// tiles share a load of weights and of offsets among more pixels; narrow ones let more input
// channels into the level 1 cache, so that sums go back and forth between registers and `out` less
// often. Measured over the layers of MobileNet v1 and v2 on a Zen 5 core: a vector more or less
// makes a difference of about 1%. Vectors of NEON and WebAssembly are so small that tiles have as
// many as there are registers for, beside weights and activations.
constexpr size_t Conv1x1WidestTile(size_t lanes, size_t registers, int rows) {
  struct Tiles {
    size_t rows1, rows2, rows4;
  };
  const Tiles tiles = registers < 16   ? Tiles{13, 5, 5}
                      : registers < 32 ? Tiles{12, 5, 5}
                      : lanes == 4     ? Tiles{25, 14, 6}
                                       : Tiles{8, 6, 5};
  return rows == 1 ? tiles.rows1 : rows == 2 ? tiles.rows2 : tiles.rows4;
}

// Whether a pixel more than whole vectors, of 49 say, has a vector of its own that holds it for 4
// rows (sparse.h). Two rows would gain nothing.
constexpr bool Conv1x1OnePixelMore(size_t pixels, size_t lanes, int held_rows) {
  const bool worth = held_rows == 4 ? lanes > 1 : held_rows == 2 && lanes >= 8;
  return worth && pixels > lanes && pixels % lanes == 1;
}

}  // namespace sparsenas
