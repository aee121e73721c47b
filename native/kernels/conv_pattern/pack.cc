#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/order.h"
#include "kernels/conv_panel_plan.h"
#include "kernels/conv_pattern/conv_pattern.h"
#include "kernels/conv_pattern/padded.h"
#include "kernels/tiles.h"

namespace sparsenas {
namespace {

size_t Registers(Isa isa) { return isa == Isa::kAvx512 || isa == Isa::kNeon ? 32 : 16; }

// Output channels whose sums, over a tile of at most `vectors` vectors, fill two thirds of the
// level 1 cache: the rest is for taps and for weights passing through. The more there are, the more
// kernels follow each other in a group.
size_t BlockOf(size_t out_channels, size_t vectors, Isa isa) {
  const size_t row = vectors * IsaLanes(isa) * sizeof(float);
  const size_t blocks = TileCount(out_channels, std::max(L1DataBytes() * 2 / 3 / row, size_t{1}));
  return CeilDiv(out_channels, blocks);
}

// Vectors of the widest tile there is.
size_t WidestTile(const ConvPatternPadded& padded, Isa isa) {
  const size_t vectors = CeilDiv(padded.Places(padded.strip), IsaLanes(isa));
  return CeilDiv(vectors, TileCount(vectors, ConvPatternVectors(Registers(isa))));
}

// Input channels whose groups are sorted together where a run is a whole block: few enough for
// their places of a tile, about twenty lines each, to stay in the level 1 cache meanwhile.
constexpr size_t kPart = 8;

constexpr uint32_t kCentre = 1u << 4;

// A 3x3 kernel: its output channel and weights, and which of them are not zero as bits, with the
// centre.
struct Kernel9 {
  uint32_t channel;
  uint32_t bits = kCentre;
  std::array<float, kConvTaps> weight{};
};

// Gives kernels with fewer than four taps the pattern of another kernel that has all of theirs, or
// else any: zeros are weights too.
void CompletePatterns(std::vector<Kernel9>& kernels) {
  for (Kernel9& kernel : kernels) {
    if (IsConvPattern(kernel.bits)) continue;
    for (const Kernel9& other : kernels) {
      if (IsConvPattern(other.bits) && (kernel.bits & ~other.bits) == 0) {
        kernel.bits = other.bits;
        break;
      }
    }
    for (uint32_t tap = 0; !IsConvPattern(kernel.bits); ++tap) kernel.bits |= 1u << tap;
  }
}

// The number of a pattern.
uint32_t PatternOf(uint32_t bits) {
  static const auto numbers = [] {
    std::array<uint8_t, 1 << kConvTaps> table{};
    uint8_t next = 0;
    for (uint32_t i = 0; i < table.size(); ++i) {
      if (IsConvPattern(i)) table[i] = next++;
    }
    return table;
  }();
  return numbers[bits];
}

uint32_t Bytes(size_t floats) { return static_cast<uint32_t>(floats * sizeof(float)); }

struct Group {
  uint32_t pattern = 0;
  ConvPatternFour four{};
  std::vector<ConvPatternKernel> kernels;
};

// Appends the groups of input channel c.
void AppendGroups(std::vector<Kernel9>& kernels, const ConvPatternPadded& padded, size_t c,
                  std::vector<Group>& groups) {
  CompletePatterns(kernels);
  std::vector<double> keys;
  for (const Kernel9& kernel : kernels) keys.push_back(kernel.bits);
  uint32_t bits = 0;
  for (const size_t k : OrderBy(keys)) {
    const Kernel9& kernel = kernels[k];
    if (kernel.bits != bits) groups.emplace_back();
    bits = kernel.bits;
    Group& group = groups.back();
    const size_t channel = c * padded.planes * padded.plane;
    group.pattern = PatternOf(bits);
    ++group.four.kernels;
    group.kernels.push_back({kernel.channel, {}});
    for (uint32_t tap = 0, i = 0; tap < kConvTaps; ++tap) {
      if ((bits >> tap & 1) == 0) continue;
      group.four.tap[i] = Bytes(channel + padded.Tap(tap));
      group.kernels.back().weight[i++] = kernel.weight[tap];
    }
  }
}

// A block's kernels, by input channel, in groups and runs.
struct Block {
  std::vector<Group> groups;
  std::vector<ConvPatternRun> runs;
};

// A run is an input channel with all its taps.
Block HoldNine(std::vector<Kernel9>* left, size_t channels, const ConvPatternPadded& padded) {
  Block block;
  for (size_t c = 0; c < channels; ++c) {
    const size_t first = block.groups.size();
    AppendGroups(left[c], padded, c, block.groups);
    if (block.groups.size() > first)
      block.runs.push_back({Bytes(c * padded.planes * padded.plane),
                            static_cast<uint32_t>(block.groups.size() - first)});
  }
  return block;
}

// All is one run.
Block HoldFour(std::vector<Kernel9>* left, size_t channels, const ConvPatternPadded& padded) {
  Block block;
  for (size_t part = 0; part < channels; part += kPart) {
    std::vector<Group> of_part;
    for (size_t c = part; c < std::min(part + kPart, channels); ++c)
      AppendGroups(left[c], padded, c, of_part);
    // Neighbours of as many kernels: the core foresees where the loop over them ends.
    std::vector<double> keys;
    for (const Group& group : of_part) keys.push_back(double(group.kernels.size()));
    for (const size_t k : OrderBy(keys)) block.groups.push_back(std::move(of_part[k]));
  }
  block.runs.push_back({0, static_cast<uint32_t>(block.groups.size())});
  return block;
}

template <class T>
AlignedArray<T> Packed(const std::vector<T>& values, size_t more = 0) {
  AlignedArray<T> packed(values.size() + more);
  std::copy(values.begin(), values.end(), packed.data());
  return packed;
}

}  // namespace

bool ConvPatternHoldsNine(Isa isa) { return ConvPatternHoldsNine(Registers(isa)); }

ConvPatternWeights PackConvPattern(const SparseRows& weight, const float* bias, size_t height,
                                   size_t width, size_t stride, Isa isa, size_t strip) {
  CheckSparseRows(weight, "conv_pattern");
  CheckConvKernel(3, weight.columns, "conv_pattern");
  CheckFinite(bias, weight.rows, "conv_pattern", "biases");
  if (height == 0 || width == 0 || stride < 1 || stride > 2)
    Fail("conv_pattern: expected pixels and stride 1 or 2, found %zu x %zu pixels and stride %zu.",
         height, width, stride);
  strip = strip == 0 ? ConvPatternStripRows(height, width, weight.columns / kConvTaps, stride)
                     : std::min(strip, OutSide(height, stride));
  const ConvPatternPadded padded(width, stride, strip);
  const size_t channel_floats = padded.planes * padded.plane;
  if (channel_floats >
      std::numeric_limits<uint32_t>::max() / sizeof(float) * kConvTaps / weight.columns)
    Fail("conv_pattern: expected an input below 4 GiB, found %zu channels of %zu x %zu pixels.",
         weight.columns / kConvTaps, height, width);
  ConvPatternWeights packed;
  packed.in_channels = weight.columns / kConvTaps;
  packed.out_channels = weight.rows;
  packed.strip = strip;
  packed.block = BlockOf(weight.rows, WidestTile(padded, isa), isa);
  packed.bias = AlignedArray<float>(weight.rows);
  std::copy_n(bias, weight.rows, packed.bias.data());

  // The kernels that are left, by block and input channel.
  const size_t blocks = CeilDiv(weight.rows, packed.block);
  std::vector<std::vector<Kernel9>> left(blocks * packed.in_channels);
  size_t k = 0;
  for (uint32_t d = 0; d < weight.rows; ++d) {
    for (const size_t end = k + weight.counts[d]; k < end; ++k) {
      if (weight.value[k] == 0.0f) continue;
      const uint32_t c = weight.column[k] / kConvTaps, tap = weight.column[k] % kConvTaps;
      std::vector<Kernel9>& kernels = left[d / packed.block * packed.in_channels + c];
      const uint32_t row = static_cast<uint32_t>(d % packed.block);
      if (kernels.empty() || kernels.back().channel != row) kernels.push_back({row});
      Kernel9& kernel = kernels.back();
      kernel.bits |= 1u << tap;
      kernel.weight[tap] = weight.value[k];
      if (CountTaps(kernel.bits) > kConvPatternTaps)
        Fail(
            "conv_pattern: expected at most %zu nonzeros besides the centre in each 3x3 kernel, "
            "found more from input channel %u to output channel %u; pack it for conv_direct.",
            kConvPatternTaps - 1, c, d);
    }
  }

  const bool nine = ConvPatternHoldsNine(isa);
  std::vector<uint32_t> runs_of;
  std::vector<ConvPatternRun> runs;
  std::vector<ConvPatternGroup> groups;
  std::vector<ConvPatternFour> fours;
  std::vector<ConvPatternKernel> kernels;
  for (size_t i = 0; i < blocks; ++i) {
    std::vector<Kernel9>* of_block = left.data() + i * packed.in_channels;
    const Block block = nine ? HoldNine(of_block, packed.in_channels, padded)
                             : HoldFour(of_block, packed.in_channels, padded);
    runs_of.push_back(static_cast<uint32_t>(block.runs.size()));
    runs.insert(runs.end(), block.runs.begin(), block.runs.end());
    for (const Group& group : block.groups) {
      if (nine)
        groups.push_back({group.pattern, group.four.kernels});
      else
        fours.push_back(group.four);
      kernels.insert(kernels.end(), group.kernels.begin(), group.kernels.end());
    }
  }
  packed.runs_of = Packed(runs_of);
  packed.runs = Packed(runs);
  packed.groups = Packed(groups, 1);
  packed.fours = Packed(fours, 1);
  packed.kernels = Packed(kernels, kConvPatternAhead);
  return packed;
}

void ConvPatternWeights::Fill(ConvPatternArgs& args) const {
  args.in.channels = in_channels;
  args.in.kernel = 3;
  args.out_channels = out_channels;
  args.strip = strip;
  args.block = block;
  args.runs_of = runs_of.data();
  args.runs = runs.data();
  args.groups = groups.data();
  args.fours = fours.data();
  args.kernels = kernels.data();
  args.bias = bias.data();
}

size_t ConvPatternStripRows(size_t height, size_t width, size_t in_channels, size_t stride) {
  const size_t out_height = OutSide(height, stride);
  const auto bytes = [&](size_t rows) {
    const ConvPatternPadded padded(width, stride, rows);
    return in_channels * padded.planes * padded.plane * sizeof(float);
  };
  // Strips pay where the input is many times the level 2 cache: 64 channels of 224x224 pixels take
  // two thirds of the time. Up to 7 MB, tiles that do not come out even cost what they save.
  constexpr size_t kMany = 8;
  if (bytes(out_height) <= kMany * L2Bytes()) return out_height;
  size_t rows = 1;
  while (rows < out_height && bytes(rows + 1) <= L2Bytes() * 3 / 4) ++rows;
  return rows;
}

size_t ConvPatternScratchFloats(size_t height, size_t width, size_t in_channels,
                                size_t out_channels, size_t stride, size_t strip) {
  if (strip == 0) strip = ConvPatternStripRows(height, width, in_channels, stride);
  const ConvPatternPadded padded(width, stride, strip);
  // A line before and after the input: vectors of taps beside those of a tile begin or end there.
  return out_channels * kConvPatternWidest + 2 * kStrideFloats +
         in_channels * padded.planes * padded.plane;
}

}  // namespace sparsenas
