// Fully connected layer: a matrix times a vector.
//
//   out[d] = activation(bias[d] + sum_c weight[d, c] * in[c])
//
// The weights are packed once: dense, sparse, sparse in blocks of 4 output channels that have their
// zeros in the same places, or 2:4. Each packing has its own list of kernels.
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

// Outputs computed together. A multiple of every vector's lanes, so that one packing serves all
// instruction sets.
constexpr size_t kFullyConnectedGroup = 16;

struct FullyConnectedDenseArgs {
  size_t in_channels;   // C
  size_t out_channels;  // D
  const float* weight;  // [ceil(D / 16), C, 16], zeros where D ends.
  const float* bias;    // [ceil(D / 16), 16]
  const float* in;      // [C], any alignment.
  float* out;           // [D], any alignment.
  ActivationArgs activation;
};

struct FullyConnectedDenseWeights {
  size_t in_channels = 0;
  size_t out_channels = 0;
  AlignedArray<float> weight;
  AlignedArray<float> bias;

  // Sets the fields of `args` that come from the weights.
  void Fill(FullyConnectedDenseArgs& args) const;

  // Its sizes, then its arrays: what a model file keeps.
  template <class Self>
  static auto Fields(Self& self) {
    return std::tie(self.in_channels, self.out_channels, self.weight, self.bias);
  }
};

// Packs weight [D, C] and bias [D]. Fails on values that are not finite and on empty sizes.
FullyConnectedDenseWeights PackFullyConnectedDense(const float* weight, const float* bias,
                                                   size_t out_channels, size_t in_channels);

// See kernels/flaw.h.
const char* FlawOf(const FullyConnectedDenseWeights& packed, size_t out_channels,
                   size_t in_channels);

KernelList<FullyConnectedDenseArgs> FullyConnectedDenseKernels();
inline const Kernel<FullyConnectedDenseArgs>& BestFullyConnectedDense(Isa isa) {
  return FullyConnectedDenseKernels().Best(isa);
}

// Sparse. A vector has a group of output channels side by side, kRows of which share their places
// of nonzeros (1 for unstructured weights). A step takes the next nonzero of each whose column is
// in a window of inputs; those without one wait, with a zero. So that few wait, the window begins
// where the hindmost is, and output channels with about as many nonzeros are in a group.

template <int kRows>
struct FullyConnectedSparseArgs {
  size_t in_channels;      // C
  size_t out_channels;     // D
  const uint32_t* counts;  // [groups], steps S of each group.
  const uint32_t* window;  // [S], the first input of each step's.
  const uint8_t* index;    // [S, group / kRows], inputs, from the first of the window on.
  const float* value;      // [S, group]
  const uint32_t* order;   // [groups, group], output channels; those from D on last.
  const float* bias;       // [groups, group]
  const float* in;         // [C], any alignment.
  float* out;              // [D], any alignment.
  ActivationArgs activation;
};

template <int kRows>
struct FullyConnectedSparseWeights {
  size_t in_channels = 0;
  size_t out_channels = 0;
  AlignedArray<uint32_t> counts, window;
  AlignedArray<uint8_t> index;
  AlignedArray<float> value;
  AlignedArray<uint32_t> order;
  AlignedArray<float> bias;

  // Sets the fields of `args` that come from the weights.
  void Fill(FullyConnectedSparseArgs<kRows>& args) const {
    args.in_channels = in_channels;
    args.out_channels = out_channels;
    args.counts = counts.data();
    args.window = window.data();
    args.index = index.data();
    args.value = value.data();
    args.order = order.data();
    args.bias = bias.data();
  }

  size_t bytes() const {
    return counts.bytes() + window.bytes() + index.bytes() + value.bytes() + order.bytes() +
           bias.bytes();
  }

  // Its sizes, then its arrays: what a model file keeps.
  template <class Self>
  static auto Fields(Self& self) {
    return std::tie(self.in_channels, self.out_channels, self.counts, self.window, self.index,
                    self.value, self.order, self.bias);
  }
};

// Output channels of a group: a vector of them, or one block where that has fewer lanes.
constexpr size_t FullyConnectedSparseGroup(size_t lanes, size_t rows) {
  return lanes < rows ? rows : lanes;
}

struct FullyConnectedWindows {
  size_t size;   // Inputs.
  size_t apart;  // They begin at multiples of it, or as late as a whole one fits.
};

// Those of V::Lookup, from whole vectors on, whose loads are faster; or where each input is loaded
// by itself, all inputs whose index fits.
constexpr FullyConnectedWindows FullyConnectedWindowsOf(Isa isa, int rows) {
  if (rows == 1 && isa == Isa::kAvx512) return {32, 16};
  if (rows == 1 && isa == Isa::kAvx2) return {16, 8};
  return {256, 1};
}

using FullyConnectedUnstructuredArgs = FullyConnectedSparseArgs<1>;
using FullyConnectedUnstructuredWeights = FullyConnectedSparseWeights<1>;
using FullyConnectedBlock4Args = FullyConnectedSparseArgs<4>;
using FullyConnectedBlock4Weights = FullyConnectedSparseWeights<4>;

// Packs a sparse [D, C] and bias [D] for the kernels of `isa` and no others. Row d of blocks of 4
// is in block d / 4; where one row of a block has a nonzero the others may have zeros, which are
// stored and cost time (CountBlocks in kernels/sparse_rows.h). Fails on what CheckSparseRows and
// CheckFinite refuse.
FullyConnectedUnstructuredWeights PackFullyConnectedUnstructured(const SparseRows& weight,
                                                                 const float* bias, Isa isa);
FullyConnectedBlock4Weights PackFullyConnectedBlock4(const SparseRows& weight, const float* bias,
                                                     Isa isa);

// See kernels/flaw.h. `isa` is whose kernels read them.
template <int kRows>
const char* FlawOf(const FullyConnectedSparseWeights<kRows>& packed, size_t out_channels,
                   size_t in_channels, Isa isa);

KernelList<FullyConnectedUnstructuredArgs> FullyConnectedUnstructuredKernels();
inline const Kernel<FullyConnectedUnstructuredArgs>& BestFullyConnectedUnstructured(Isa isa) {
  return FullyConnectedUnstructuredKernels().Best(isa);
}

KernelList<FullyConnectedBlock4Args> FullyConnectedBlock4Kernels();
inline const Kernel<FullyConnectedBlock4Args>& BestFullyConnectedBlock4(Isa isa) {
  return FullyConnectedBlock4Kernels().Best(isa);
}

// 2:4. Of columns 4 q to 4 q + 3 each row has two weights, and where they are, in 2 bits each.

// Groups of four columns whose places are in one number.
constexpr size_t kFullyConnectedQuads = 8;

struct FullyConnectedTwoOfFourArgs {
  size_t in_channels;     // C
  size_t out_channels;    // D
  const float* value;     // [ceil(D / 16), ceil(C / 4), 2, 16], zeros where D ends.
  const uint32_t* place;  // [ceil(D / 16), ceil(C / 32), 16], the first from the lowest bits on.
  const float* bias;      // [ceil(D / 16), 16]
  const float* in;        // [C], any alignment.
  float* out;             // [D], any alignment.
  ActivationArgs activation;
};

struct FullyConnectedTwoOfFourWeights {
  size_t in_channels = 0;
  size_t out_channels = 0;
  AlignedArray<float> value;
  AlignedArray<uint32_t> place;
  AlignedArray<float> bias;

  // Sets the fields of `args` that come from the weights.
  void Fill(FullyConnectedTwoOfFourArgs& args) const;

  size_t bytes() const { return value.bytes() + place.bytes() + bias.bytes(); }

  // Its sizes, then its arrays: what a model file keeps.
  template <class Self>
  static auto Fields(Self& self) {
    return std::tie(self.in_channels, self.out_channels, self.value, self.place, self.bias);
  }
};

// Packs a sparse [D, C] and bias [D]. Fails on a third nonzero in columns 4 q to 4 q + 3 of a row
// and on what CheckSparseRows and CheckFinite refuse.
FullyConnectedTwoOfFourWeights PackFullyConnectedTwoOfFour(const SparseRows& weight,
                                                           const float* bias);

// See kernels/flaw.h.
const char* FlawOf(const FullyConnectedTwoOfFourWeights& packed, size_t out_channels,
                   size_t in_channels);

KernelList<FullyConnectedTwoOfFourArgs> FullyConnectedTwoOfFourKernels();
inline const Kernel<FullyConnectedTwoOfFourArgs>& BestFullyConnectedTwoOfFour(Isa isa) {
  return FullyConnectedTwoOfFourKernels().Best(isa);
}

}  // namespace sparsenas
