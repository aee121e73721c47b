#include <algorithm>

#include "base/error.h"
#include "kernels/fully_connected/fully_connected.h"

namespace sparsenas {

FullyConnectedDenseWeights PackFullyConnectedDense(const float* weight, const float* bias,
                                                   size_t out_channels, size_t in_channels) {
  if (in_channels == 0 || out_channels == 0)
    Fail("fully_connected: expected at least one channel in and out, found %zu in and %zu out.",
         in_channels, out_channels);
  CheckFinite(weight, out_channels * in_channels, "fully_connected", "weights");
  CheckFinite(bias, out_channels, "fully_connected", "biases");
  FullyConnectedDenseWeights packed;
  packed.in_channels = in_channels;
  packed.out_channels = out_channels;
  const size_t padded = RoundUp(out_channels, kFullyConnectedGroup);
  packed.weight = AlignedArray<float>(padded * in_channels);
  packed.bias = AlignedArray<float>(padded);
  for (size_t d = 0; d < out_channels; ++d) {
    packed.bias[d] = bias[d];
    float* group =
        packed.weight.data() + d / kFullyConnectedGroup * in_channels * kFullyConnectedGroup;
    for (size_t c = 0; c < in_channels; ++c)
      group[c * kFullyConnectedGroup + d % kFullyConnectedGroup] = weight[d * in_channels + c];
  }
  return packed;
}

void FullyConnectedDenseWeights::Fill(FullyConnectedDenseArgs& args) const {
  args.in_channels = in_channels;
  args.out_channels = out_channels;
  args.weight = weight.data();
  args.bias = bias.data();
}

FullyConnectedUnstructuredWeights PackFullyConnectedUnstructured(const SparseRows& weight,
                                                                 const float* bias) {
  CheckSparseRows(weight, "fully_connected");
  CheckFinite(bias, weight.rows, "fully_connected", "biases");
  // Gathers take signed indices.
  if (weight.columns > 1u << 31)
    Fail("fully_connected: expected at most 2147483648 channels in, found %zu.", weight.columns);
  FullyConnectedUnstructuredWeights packed;
  packed.in_channels = weight.columns;
  packed.out_channels = weight.rows;
  packed.counts = AlignedArray<uint32_t>(weight.rows);
  packed.column = AlignedArray<uint32_t>(weight.nonzeros);
  packed.value = AlignedArray<float>(weight.nonzeros);
  packed.bias = AlignedArray<float>(weight.rows);
  std::copy_n(weight.counts, weight.rows, packed.counts.data());
  std::copy_n(weight.column, weight.nonzeros, packed.column.data());
  std::copy_n(weight.value, weight.nonzeros, packed.value.data());
  std::copy_n(bias, weight.rows, packed.bias.data());
  return packed;
}

void FullyConnectedUnstructuredWeights::Fill(FullyConnectedUnstructuredArgs& args) const {
  args.out_channels = out_channels;
  args.counts = counts.data();
  args.column = column.data();
  args.value = value.data();
  args.bias = bias.data();
}

}  // namespace sparsenas
