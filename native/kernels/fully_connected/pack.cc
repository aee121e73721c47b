#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/order.h"
#include "kernels/fully_connected/fully_connected.h"

namespace sparsenas {
namespace {

template <int kRows>
FullyConnectedSparseWeights<kRows> PackSparse(const SparseRows& weight, const float* bias,
                                              Isa isa) {
  CheckSparseRows(weight, "fully_connected");
  CheckFinite(bias, weight.rows, "fully_connected", "biases");
  const size_t size = FullyConnectedSparseGroup(IsaLanes(isa), kRows), blocks = size / kRows;
  const FullyConnectedWindows windows = FullyConnectedWindowsOf(isa, kRows);
  const size_t last = weight.columns - std::min(weight.columns, windows.size);

  // Where each row's nonzeros not yet packed begin, and where the row ends.
  const size_t padded = RoundUp(weight.rows, size);
  std::vector<size_t> next(padded), end(padded);
  size_t k = 0;
  for (size_t d = 0; d < weight.rows; ++d) {
    next[d] = k;
    end[d] = k += weight.counts[d];
  }
  // The next column in which a block has a nonzero; weight.columns if there is none.
  const auto next_column = [&](size_t block) {
    size_t column = weight.columns;
    for (size_t d = block * kRows; d < (block + 1) * kRows; ++d) {
      if (next[d] < end[d]) column = std::min<size_t>(column, weight.column[next[d]]);
    }
    return column;
  };
  // Whole blocks by their numbers of nonzeros; one that is not whole and those beyond stay last.
  std::vector<double> keys(padded / kRows);
  for (size_t d = 0; d < weight.rows / kRows * kRows; ++d) keys[d / kRows] -= weight.counts[d];
  for (size_t i = weight.rows / kRows; i < keys.size(); ++i) keys[i] = 1;
  const std::vector<size_t> order = OrderBy(keys);

  FullyConnectedSparseWeights<kRows> packed;
  packed.in_channels = weight.columns;
  packed.out_channels = weight.rows;
  packed.counts = AlignedArray<uint32_t>(padded / size);
  packed.order = AlignedArray<uint32_t>(padded);
  packed.bias = AlignedArray<float>(padded);
  for (size_t i = 0; i < padded; ++i) {
    const size_t d = order[i / kRows] * kRows + i % kRows;
    packed.order[i] = static_cast<uint32_t>(d);
    if (d < weight.rows) packed.bias[i] = bias[d];
  }
  std::vector<uint32_t> window;
  std::vector<uint8_t> index;
  std::vector<float> value;
  for (size_t group = 0; group < padded / size; ++group) {
    const size_t* block = order.data() + group * blocks;
    for (;; ++packed.counts[group]) {
      size_t first = weight.columns;
      for (size_t i = 0; i < blocks; ++i) first = std::min(first, next_column(block[i]));
      if (first == weight.columns) break;
      first = std::min(first / windows.apart * windows.apart, last);
      window.push_back(static_cast<uint32_t>(first));
      for (size_t i = 0; i < blocks; ++i) {
        const size_t column = next_column(block[i]);
        const bool taken = column < std::min(first + windows.size, weight.columns);
        index.push_back(taken ? static_cast<uint8_t>(column - first) : uint8_t{0});
        for (size_t d = block[i] * kRows; d < (block[i] + 1) * kRows; ++d) {
          const bool has = taken && next[d] < end[d] && weight.column[next[d]] == column;
          value.push_back(has ? weight.value[next[d]++] : 0.0f);
        }
      }
    }
  }
  packed.window = AlignedArray<uint32_t>(window.size());
  packed.index = AlignedArray<uint8_t>(index.size());
  packed.value = AlignedArray<float>(value.size());
  std::copy(window.begin(), window.end(), packed.window.data());
  std::copy(index.begin(), index.end(), packed.index.data());
  std::copy(value.begin(), value.end(), packed.value.data());
  return packed;
}

}  // namespace

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
                                                                 const float* bias, Isa isa) {
  return PackSparse<1>(weight, bias, isa);
}

FullyConnectedBlock4Weights PackFullyConnectedBlock4(const SparseRows& weight, const float* bias,
                                                     Isa isa) {
  return PackSparse<4>(weight, bias, isa);
}

FullyConnectedTwoOfFourWeights PackFullyConnectedTwoOfFour(const SparseRows& weight,
                                                           const float* bias) {
  CheckSparseRows(weight, "fully_connected");
  CheckFinite(bias, weight.rows, "fully_connected", "biases");
  constexpr size_t kGroup = kFullyConnectedGroup;
  const size_t quads = CeilDiv(weight.columns, 4);
  const size_t places = CeilDiv(quads, kFullyConnectedQuads);
  const size_t padded = RoundUp(weight.rows, kGroup);
  FullyConnectedTwoOfFourWeights packed;
  packed.in_channels = weight.columns;
  packed.out_channels = weight.rows;
  packed.value = AlignedArray<float>(padded * quads * 2);
  packed.place = AlignedArray<uint32_t>(padded * places);
  packed.bias = AlignedArray<float>(padded);
  std::copy_n(bias, weight.rows, packed.bias.data());
  size_t k = 0;
  for (size_t d = 0; d < weight.rows; ++d) {
    const size_t group = d / kGroup, lane = d % kGroup;
    size_t quad = quads, taken = 0;
    for (const size_t end = k + weight.counts[d]; k < end; ++k) {
      const uint32_t column = weight.column[k];
      taken = column / 4 == quad ? taken + 1 : 0;
      quad = column / 4;
      if (taken == 2)
        Fail(
            "fully_connected: expected at most 2 nonzeros in columns %zu to %zu (2:4), found a "
            "third in row %zu.",
            4 * quad, 4 * quad + 3, d);
      packed.value[((group * quads + quad) * 2 + taken) * kGroup + lane] = weight.value[k];
      packed.place[(group * places + quad / kFullyConnectedQuads) * kGroup + lane] |=
          column % 4 << (quad % kFullyConnectedQuads * 2 + taken) * 2;
    }
  }
  return packed;
}

void FullyConnectedTwoOfFourWeights::Fill(FullyConnectedTwoOfFourArgs& args) const {
  args.in_channels = in_channels;
  args.out_channels = out_channels;
  args.value = value.data();
  args.place = place.data();
  args.bias = bias.data();
}

}  // namespace sparsenas
