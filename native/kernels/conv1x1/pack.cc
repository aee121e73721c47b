#include <algorithm>
#include <limits>
#include <vector>

#include "base/error.h"
#include "kernels/conv1x1/conv1x1.h"
#include "kernels/tiles.h"

namespace sparsenas {
namespace {

// How many vectors of pixels are taken at a time, and input channels in how many parts.
struct Tiling {
  size_t tile, parts;
};

size_t Registers(Isa isa) {
  switch (isa) {
    case Isa::kAvx512:
    case Isa::kNeon:
      return 32;
    case Isa::kWasm128:
    case Isa::kWasmRelaxed:
      return 15;
    default:
      return 16;
  }
}

// Nonzeros that a block should have in each part, for WebAssembly: with vectors so short, sums that
// go back and forth cost more than pixels from the level 2 cache. Measured in Chromium.
constexpr size_t kFewestOfPart = 24;

// `nonzeros` are those of a block.
Tiling ChooseTiling(size_t in_channels, size_t pixels, size_t nonzeros, Isa isa, int rows) {
  const size_t lanes = IsaLanes(isa);
  const int held = Conv1x1HeldRows(Registers(isa), rows);
  const size_t vectors = CeilDiv(pixels - Conv1x1OnePixelMore(pixels, lanes, held), lanes);
  const size_t widest = Conv1x1WidestTile(lanes, Registers(isa), rows);
  const size_t tile = CeilDiv(vectors, TileCount(vectors, widest));
  // Input channels whose pixels, in one tile, fill most of the level 1 cache. The rest is for sums
  // and weights passing through.
  const size_t channels = L1DataBytes() * 5 / 6 / (tile * lanes * sizeof(float));
  const size_t parts = TileCount(in_channels, std::max<size_t>(channels, 1));
  const bool wasm = isa == Isa::kWasm128 || isa == Isa::kWasmRelaxed;
  return {tile, wasm ? std::clamp<size_t>(nonzeros / kFewestOfPart, 1, parts) : parts};
}

}  // namespace

Conv1x1DenseWeights PackConv1x1Dense(const float* weight, const float* bias, size_t out_channels,
                                     size_t in_channels) {
  if (in_channels == 0 || out_channels == 0)
    Fail("conv1x1: expected at least one channel in and out, found %zu in and %zu out.",
         in_channels, out_channels);
  CheckFinite(weight, out_channels * in_channels, "conv1x1", "weights");
  CheckFinite(bias, out_channels, "conv1x1", "biases");
  Conv1x1DenseWeights packed;
  packed.in_channels = in_channels;
  packed.out_channels = out_channels;
  // Activations pass through the cache beside them.
  const size_t most = L2Bytes() / 2 / (in_channels * sizeof(float));
  packed.block = std::max(most / kConv1x1Group, size_t{1}) * kConv1x1Group;
  const size_t padded = RoundUp(out_channels, kConv1x1Group);
  packed.weight = AlignedArray<float>(padded * in_channels);
  packed.bias = AlignedArray<float>(padded);
  for (size_t d = 0; d < out_channels; ++d) {
    packed.bias[d] = bias[d];
    float* group = packed.weight.data() + d / kConv1x1Group * in_channels * kConv1x1Group;
    for (size_t c = 0; c < in_channels; ++c)
      group[c * kConv1x1Group + d % kConv1x1Group] = weight[d * in_channels + c];
  }
  return packed;
}

void Conv1x1DenseWeights::Fill(Conv1x1DenseArgs& args) const {
  args.in_channels = in_channels;
  args.out_channels = out_channels;
  args.block = block;
  args.weight = weight.data();
  args.bias = bias.data();
}

template <int kRows>
Conv1x1SparseWeights<kRows> PackConv1x1Block(const SparseRows& weight, const float* bias,
                                             size_t in_stride, size_t pixels, Isa isa) {
  CheckSparseRows(weight, "conv1x1");
  CheckFinite(bias, weight.rows, "conv1x1", "biases");
  if (pixels == 0 || in_stride < pixels)
    Fail("conv1x1: expected 1 to %zu pixels in channels %zu floats apart, found %zu.", in_stride,
         in_stride, pixels);
  if (in_stride > std::numeric_limits<uint32_t>::max() / sizeof(float) / weight.columns)
    Fail("conv1x1: expected an input below 4 GiB, found %zu channels of %zu floats.",
         weight.columns, in_stride);

  const size_t blocks = CeilDiv(weight.rows, kRows);
  const size_t nonzeros = CountBlocks(weight, kRows) / blocks;
  const Tiling tiling = ChooseTiling(weight.columns, pixels, nonzeros, isa, kRows);
  Conv1x1SparseWeights<kRows> packed;
  packed.in_channels = weight.columns;
  packed.out_channels = weight.rows;
  packed.in_stride = in_stride;
  packed.tile = tiling.tile;
  packed.parts = tiling.parts;
  packed.counts = AlignedArray<uint32_t>(packed.parts * blocks);
  packed.bias = AlignedArray<float>(blocks * kRows);
  std::copy_n(bias, weight.rows, packed.bias.data());

  // Where each row's nonzeros not yet packed begin, and where the row ends.
  std::vector<size_t> next(blocks * kRows), end(blocks * kRows);
  size_t k = 0;
  for (size_t d = 0; d < weight.rows; ++d) {
    next[d] = k;
    end[d] = k += weight.counts[d];
  }
  // The next column in which block `b` has a nonzero; weight.columns if there is none.
  const auto next_column = [&](size_t b) {
    size_t column = weight.columns;
    for (size_t d = b * kRows; d < (b + 1) * kRows; ++d) {
      if (next[d] < end[d]) column = std::min<size_t>(column, weight.column[next[d]]);
    }
    return column;
  };

  std::vector<Conv1x1Step<kRows>> steps;
  steps.reserve(weight.nonzeros / 2 + packed.parts * blocks);
  for (size_t part = 0; part < packed.parts; ++part) {
    const size_t c_end = TileStart(weight.columns, packed.parts, part + 1);
    for (size_t b = 0; b < blocks; ++b) {
      uint32_t count = 0;
      bool half = false;  // Whether the last step has its first nonzero only.
      for (;;) {
        const size_t column = next_column(b);
        // A step is completed from the next part: nearly all of a part's loads find their pixels in
        // the cache all the same.
        if (column == weight.columns || (column >= c_end && !half)) break;
        if (!half) steps.emplace_back();
        const uint64_t offset = column * in_stride * sizeof(float);
        steps.back().offsets |= half ? offset << 32 : offset;
        for (size_t row = 0; row < kRows; ++row) {
          size_t& nonzero = next[b * kRows + row];
          if (nonzero < end[b * kRows + row] && weight.column[nonzero] == column)
            steps.back().value[half][row] = weight.value[nonzero++];
        }
        half = !half;
        ++count;
      }
      packed.counts[part * blocks + b] = count;
    }
  }
  packed.steps = AlignedArray<Conv1x1Step<kRows>>(steps.size());
  std::copy(steps.begin(), steps.end(), packed.steps.data());
  return packed;
}

template Conv1x1UnstructuredWeights PackConv1x1Block<1>(const SparseRows&, const float*, size_t,
                                                        size_t, Isa);
template Conv1x1Block2Weights PackConv1x1Block<2>(const SparseRows&, const float*, size_t, size_t,
                                                  Isa);
template Conv1x1Block4Weights PackConv1x1Block<4>(const SparseRows&, const float*, size_t, size_t,
                                                  Isa);

}  // namespace sparsenas
