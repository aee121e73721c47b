// Fully connected layer: a matrix times a vector.
//
//   out[d] = activation(bias[d] + sum_c weight[d, c] * in[c])
//
// The weights are packed once, dense or sparse; each packing has its own list of kernels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned.h"
#include "kernels/activation.h"
#include "kernels/kernel.h"
#include "kernels/sparse_rows.h"

namespace sparsenas {

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
};

// Packs weight [D, C] and bias [D]. Fails on values that are not finite and on empty sizes.
FullyConnectedDenseWeights PackFullyConnectedDense(const float* weight, const float* bias,
                                                   size_t out_channels, size_t in_channels);

KernelList<FullyConnectedDenseArgs> FullyConnectedDenseKernels();
inline const Kernel<FullyConnectedDenseArgs>& BestFullyConnectedDense(Isa isa) {
  return FullyConnectedDenseKernels().Best(isa);
}

struct FullyConnectedUnstructuredArgs {
  size_t out_channels;     // D
  const uint32_t* counts;  // [D], nonzeros of each row.
  const uint32_t* column;  // [K], row after row.
  const float* value;      // [K]
  const float* bias;       // [D]
  const float* in;         // [C], any alignment.
  float* out;              // [D], any alignment.
  ActivationArgs activation;
};

struct FullyConnectedUnstructuredWeights {
  size_t in_channels = 0;
  size_t out_channels = 0;
  AlignedArray<uint32_t> counts;
  AlignedArray<uint32_t> column;
  AlignedArray<float> value;
  AlignedArray<float> bias;

  // Sets the fields of `args` that come from the weights.
  void Fill(FullyConnectedUnstructuredArgs& args) const;
};

// Copies a sparse [D, C] and bias [D]. Fails on what CheckSparseRows and CheckFinite refuse.
FullyConnectedUnstructuredWeights PackFullyConnectedUnstructured(const SparseRows& weight,
                                                                 const float* bias);

KernelList<FullyConnectedUnstructuredArgs> FullyConnectedUnstructuredKernels();
inline const Kernel<FullyConnectedUnstructuredArgs>& BestFullyConnectedUnstructured(Isa isa) {
  return FullyConnectedUnstructuredKernels().Best(isa);
}

}  // namespace sparsenas
