#include <algorithm>

#include "base/error.h"
#include "base/order.h"
#include "kernels/conv_direct/conv_direct.h"
#include "kernels/conv_panel_plan.h"
#include "kernels/tiles.h"

namespace sparsenas {
namespace {

// Floats of a row of the panel: the widest tile.
size_t PitchOf(size_t pixels, Isa isa) {
  const size_t lanes = IsaLanes(isa);
  const size_t vectors = CeilDiv(pixels, lanes);
  const size_t tiles = TileCount(vectors, kConvDirectVectors);
  return std::max(CeilDiv(vectors, tiles) * lanes, kStrideFloats);
}

// A nonzero on its way to its part.
struct Entry {
  uint32_t part, channel;
  uint16_t offset;
  float value;
};

}  // namespace

ConvDirectWeights PackConvDirect(const SparseRows& weight, const float* bias, size_t kernel,
                                 size_t pixels, Isa isa) {
  CheckSparseRows(weight, "conv_direct");
  CheckConvKernel(kernel, weight.columns, "conv_direct");
  CheckFinite(bias, weight.rows, "conv_direct", "biases");
  if (pixels == 0) Fail("conv_direct: expected at least one pixel, found none.");

  ConvDirectWeights packed;
  packed.in_channels = weight.columns / (kernel * kernel);
  packed.out_channels = weight.rows;
  packed.kernel = kernel;
  packed.pitch = PitchOf(pixels, isa);
  packed.bias = AlignedArray<float>(weight.rows);
  std::copy_n(bias, weight.rows, packed.bias.data());

  // What no output channel uses is not put into a panel.
  std::vector<bool> used(weight.columns);
  for (size_t k = 0; k < weight.nonzeros; ++k) used[weight.column[k]] = true;
  const ConvPanelPlan plan = PlanConvPanel(used, kernel, ConvPanelFloats() / packed.pitch);
  const size_t parts = plan.part_taps.size();
  packed.taps = AlignedArray<ConvTap>(plan.taps.size());
  std::copy(plan.taps.begin(), plan.taps.end(), packed.taps.data());

  std::vector<Entry> entries;
  std::vector<std::vector<uint32_t>> counts(parts, std::vector<uint32_t>(weight.rows));
  entries.reserve(weight.nonzeros);
  for (uint32_t d = 0; d < weight.rows; ++d) {
    for (const size_t end = entries.size() + weight.counts[d]; entries.size() < end;) {
      const size_t k = entries.size();
      const ConvPanelPlan::Place place = plan.places[weight.column[k]];
      const size_t offset = place.row * packed.pitch * sizeof(float);
      entries.push_back({place.part, d, static_cast<uint16_t>(offset), weight.value[k]});
      ++counts[place.part][d];
    }
  }

  std::vector<ConvDirectRow> rows;
  packed.part = AlignedArray<ConvDirectPart>(parts);
  for (size_t i = 0; i < parts; ++i) {
    const bool all = i == 0 || i + 1 == parts;
    std::vector<ConvDirectRow> of_part;
    std::vector<double> keys;
    for (uint32_t d = 0; d < weight.rows; ++d) {
      if (!all && counts[i][d] == 0) continue;
      of_part.push_back({d, counts[i][d]});
      keys.push_back(counts[i][d]);
    }
    packed.part[i] = {plan.part_taps[i], static_cast<uint32_t>(of_part.size())};
    // Neighbours with as many nonzeros: the core foresees where the loop over them ends.
    for (const size_t k : OrderBy(keys)) rows.push_back(of_part[k]);
  }
  packed.rows = AlignedArray<ConvDirectRow>(rows.size());
  std::copy(rows.begin(), rows.end(), packed.rows.data());

  // Where the nonzeros of an output channel begin in each part, counted in nonzeros.
  std::vector<std::vector<size_t>> next(parts, std::vector<size_t>(weight.rows));
  size_t size = 0, row = 0;
  for (size_t i = 0; i < parts; ++i) {
    for (const size_t end = row + packed.part[i].rows; row < end; ++row) {
      next[i][rows[row].channel] = size;
      size += RoundUp(rows[row].nonzeros, kConvDirectFour);
    }
  }
  packed.nonzeros = AlignedArray<ConvDirectNonzeros>(size / kConvDirectFour + kConvDirectAhead);
  for (const Entry& entry : entries) {
    const size_t at = next[entry.part][entry.channel]++;
    ConvDirectNonzeros& four = packed.nonzeros[at / kConvDirectFour];
    four.offset[at % kConvDirectFour] = entry.offset;
    four.value[at % kConvDirectFour] = entry.value;
  }
  return packed;
}

void ConvDirectWeights::Fill(ConvDirectArgs& args) const {
  args.in.channels = in_channels;
  args.in.kernel = kernel;
  args.out_channels = out_channels;
  args.pitch = pitch;
  args.parts = part.size();
  args.part = part.data();
  args.taps = taps.data();
  args.rows = rows.data();
  args.nonzeros = nonzeros.data();
  args.bias = bias.data();
}

size_t ConvDirectScratchFloats(size_t height, size_t width, size_t in_channels, size_t kernel,
                               size_t stride) {
  return ConvPanelScratchFloats(height, width, in_channels, kernel, stride, ConvPanelFloats());
}

}  // namespace sparsenas
