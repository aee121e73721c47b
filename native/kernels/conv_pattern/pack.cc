#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "base/error.h"
#include "kernels/conv_panel_plan.h"
#include "kernels/conv_pattern/conv_pattern.h"
#include "kernels/conv_pattern/padded.h"
#include "kernels/tiles.h"

namespace sparsenas {
namespace {

constexpr uint32_t kTaps = 9;

size_t Registers(Isa isa) { return isa == Isa::kAvx512 || isa == Isa::kNeon ? 32 : 16; }

// Output channels whose sums, over a tile, fill two thirds of the level 1 cache: the rest is for
// taps and for weights passing through.
size_t BlockOf(size_t out_channels, Isa isa) {
  const size_t row = ConvPatternVectors(Registers(isa)) * IsaLanes(isa) * sizeof(float);
  const size_t blocks = TileCount(out_channels, std::max(L1DataBytes() * 2 / 3 / row, size_t{1}));
  return CeilDiv(out_channels, blocks);
}

// Input channels whose groups are sorted together: few enough for their places of a tile, about
// twenty lines each, to stay in the level 1 cache meanwhile.
constexpr size_t kPart = 8;

// A 3x3 kernel: its output channel and weights, and which of them are not zero as bits.
struct Kernel9 {
  uint32_t channel;
  uint32_t bits = 0;
  std::array<float, kTaps> weight{};
};

size_t Taps(uint32_t bits) { return static_cast<size_t>(__builtin_popcount(bits)); }

// Gives kernels with fewer than four taps the pattern of another kernel that has all of theirs, or
// else any: zeros are weights too.
void CompletePatterns(std::vector<Kernel9>& kernels) {
  for (Kernel9& kernel : kernels) {
    if (Taps(kernel.bits) == kConvPatternTaps) continue;
    for (const Kernel9& other : kernels) {
      if (Taps(other.bits) == kConvPatternTaps && (kernel.bits & ~other.bits) == 0) {
        kernel.bits = other.bits;
        break;
      }
    }
    for (uint32_t tap = 0; Taps(kernel.bits) < kConvPatternTaps; ++tap) kernel.bits |= 1u << tap;
  }
}

struct Group {
  ConvPatternGroup packed{};
  std::vector<ConvPatternKernel> kernels;
};

// The groups of one input channel, whose first plane is `channel` floats from the first of all.
void AppendGroups(std::vector<Kernel9>& kernels, const ConvPatternPadded& padded, size_t channel,
                  std::vector<Group>& groups) {
  CompletePatterns(kernels);
  std::stable_sort(kernels.begin(), kernels.end(),
                   [](const Kernel9& a, const Kernel9& b) { return a.bits < b.bits; });
  uint32_t bits = 0;
  for (const Kernel9& kernel : kernels) {
    if (kernel.bits != bits) groups.emplace_back();
    bits = kernel.bits;
    Group& group = groups.back();
    ++group.packed.kernels;
    group.kernels.push_back({kernel.channel, {}});
    for (uint32_t tap = 0, i = 0; tap < kTaps; ++tap) {
      if ((bits >> tap & 1) == 0) continue;
      const size_t offset = (channel + padded.Tap(tap / 3, tap % 3)) * sizeof(float);
      group.packed.offset[i] = static_cast<uint32_t>(offset);
      group.kernels.back().weight[i++] = kernel.weight[tap];
    }
  }
}

}  // namespace

ConvPatternWeights PackConvPattern(const SparseRows& weight, const float* bias, size_t height,
                                   size_t width, size_t stride, Isa isa) {
  CheckSparseRows(weight, "conv_pattern");
  CheckConvKernel(3, weight.columns, "conv_pattern");
  CheckFinite(bias, weight.rows, "conv_pattern", "biases");
  if (height == 0 || width == 0 || stride < 1 || stride > 2)
    Fail("conv_pattern: expected pixels and stride 1 or 2, found %zu x %zu pixels and stride %zu.",
         height, width, stride);
  const ConvPatternPadded padded(height, width, stride);
  const size_t channel_floats = padded.planes * padded.plane;
  if (channel_floats >
      std::numeric_limits<uint32_t>::max() / sizeof(float) * kTaps / weight.columns)
    Fail("conv_pattern: expected an input below 4 GiB, found %zu channels of %zu x %zu pixels.",
         weight.columns / kTaps, height, width);
  ConvPatternWeights packed;
  packed.in_channels = weight.columns / kTaps;
  packed.out_channels = weight.rows;
  packed.block = BlockOf(weight.rows, isa);
  packed.bias = AlignedArray<float>(weight.rows);
  std::copy_n(bias, weight.rows, packed.bias.data());

  // The kernels that are left, by block and input channel.
  const size_t blocks = CeilDiv(weight.rows, packed.block);
  std::vector<std::vector<Kernel9>> left(blocks * packed.in_channels);
  size_t k = 0;
  for (uint32_t d = 0; d < weight.rows; ++d) {
    for (const size_t end = k + weight.counts[d]; k < end; ++k) {
      if (weight.value[k] == 0.0f) continue;
      const uint32_t c = weight.column[k] / kTaps, tap = weight.column[k] % kTaps;
      std::vector<Kernel9>& kernels = left[d / packed.block * packed.in_channels + c];
      const uint32_t row = static_cast<uint32_t>(d % packed.block);
      if (kernels.empty() || kernels.back().channel != row) kernels.push_back({row, 0, {}});
      Kernel9& kernel = kernels.back();
      kernel.bits |= 1u << tap;
      kernel.weight[tap] = weight.value[k];
      if (Taps(kernel.bits) > kConvPatternTaps)
        Fail(
            "conv_pattern: expected at most %zu nonzeros in each 3x3 kernel, found more from input "
            "channel %u to output channel %u; pack it for conv_direct.",
            kConvPatternTaps, c, d);
    }
  }

  std::vector<Group> groups;
  packed.groups_of = AlignedArray<uint32_t>(blocks);
  for (size_t block = 0; block < blocks; ++block) {
    const size_t first_of_block = groups.size();
    for (size_t part = 0; part < packed.in_channels; part += kPart) {
      const size_t first = groups.size();
      for (size_t c = part; c < std::min(part + kPart, packed.in_channels); ++c)
        AppendGroups(left[block * packed.in_channels + c], padded, c * channel_floats, groups);
      // Neighbours of as many kernels: the core foresees where the loop over them ends.
      std::stable_sort(
          groups.begin() + static_cast<ptrdiff_t>(first), groups.end(),
          [](const Group& a, const Group& b) { return a.kernels.size() < b.kernels.size(); });
    }
    packed.groups_of[block] = static_cast<uint32_t>(groups.size() - first_of_block);
  }
  std::vector<ConvPatternKernel> kernels;
  packed.groups = AlignedArray<ConvPatternGroup>(groups.size() + 1);
  for (size_t i = 0; i < groups.size(); ++i) {
    packed.groups[i] = groups[i].packed;
    kernels.insert(kernels.end(), groups[i].kernels.begin(), groups[i].kernels.end());
  }
  packed.kernels = AlignedArray<ConvPatternKernel>(kernels.size() + kConvPatternAhead);
  std::copy(kernels.begin(), kernels.end(), packed.kernels.data());
  return packed;
}

void ConvPatternWeights::Fill(ConvPatternArgs& args) const {
  args.in.channels = in_channels;
  args.in.kernel = 3;
  args.out_channels = out_channels;
  args.block = block;
  args.groups_of = groups_of.data();
  args.groups = groups.data();
  args.kernels = kernels.data();
  args.bias = bias.data();
}

size_t ConvPatternScratchFloats(size_t height, size_t width, size_t in_channels,
                                size_t out_channels, size_t stride) {
  const ConvPatternPadded padded(height, width, stride);
  return out_channels * kConvPatternWidest + kStrideFloats +
         in_channels * padded.planes * padded.plane;
}

}  // namespace sparsenas
