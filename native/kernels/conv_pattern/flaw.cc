#include "kernels/flaw.h"

#include <algorithm>

#include "kernels/conv_pattern/conv_pattern.h"
#include "kernels/conv_pattern/padded.h"

namespace sparsenas {
namespace {

template <class Groups>
uint64_t CountKernels(const Groups& groups, uint64_t size) {
  uint64_t kernels = 0;
  for (size_t i = 0; i < size; ++i) kernels += groups[i].kernels;
  return kernels;
}

bool TapsInside(const ConvPatternFour& four, const ConvPatternPadded& padded, size_t channels) {
  const size_t channel_floats = padded.planes * padded.plane;
  for (const uint32_t offset : four.tap) {
    const size_t floats = offset / sizeof(float);
    size_t tap = 0;
    while (tap < kConvTaps && padded.Tap(tap) != floats % channel_floats) ++tap;
    if (offset % sizeof(float) != 0 || floats / channel_floats >= channels || tap == kConvTaps)
      return false;
  }
  return true;
}

}  // namespace

const char* FlawOf(const ConvPatternWeights& packed, size_t out_channels, size_t in_channels,
                   size_t height, size_t width, size_t stride, Isa isa) {
  if (packed.in_channels != in_channels || packed.out_channels != out_channels ||
      packed.strip != ConvPatternStripRows(height, width, in_channels, stride) ||
      packed.block == 0 || packed.block > out_channels ||
      packed.runs_of.size() != CeilDiv(out_channels, packed.block) ||
      packed.bias.size() != out_channels)
    return kOtherSizes;
  const bool nine = ConvPatternHoldsNine(isa);
  uint64_t runs = 0, groups = 0;
  for (size_t i = 0; i < packed.runs_of.size(); ++i) runs += packed.runs_of[i];
  if (runs != packed.runs.size()) return kOtherSum;
  for (size_t i = 0; i < runs; ++i) groups += packed.runs[i].groups;
  if (packed.groups.size() != (nine ? groups : 0) + 1 ||
      packed.fours.size() != (nine ? 0 : groups) + 1)
    return kOtherSum;
  const uint64_t kernels =
      nine ? CountKernels(packed.groups, groups) : CountKernels(packed.fours, groups);
  if (kernels + kConvPatternAhead != packed.kernels.size()) return kOtherSum;

  const ConvPatternPadded padded(width, stride, packed.strip);
  const size_t channel_bytes = padded.planes * padded.plane * sizeof(float);
  const ConvPatternRun* run = packed.runs.data();
  const ConvPatternKernel* kernel = packed.kernels.data();
  size_t group = 0;
  for (size_t block = 0; block < packed.runs_of.size(); ++block) {
    const size_t rows = std::min(packed.block, out_channels - block * packed.block);
    for (const ConvPatternRun* last = run + packed.runs_of[block]; run != last; ++run) {
      if (run->channel % channel_bytes != 0 || run->channel / channel_bytes >= in_channels)
        return kOutsideInput;
      for (const size_t end = group + run->groups; group < end; ++group) {
        if (nine ? packed.groups[group].pattern >= kConvPatterns
                 : !TapsInside(packed.fours[group], padded, in_channels))
          return kOutsideInput;
        size_t left = nine ? packed.groups[group].kernels : packed.fours[group].kernels;
        for (; left > 0; --left, ++kernel) {
          if (kernel->row >= rows) return "an output channel beyond the last";
          if (!AllFinite(kernel->weight, kConvPatternTaps)) return kNotFinite;
        }
      }
    }
  }
  return AllFinite(packed.bias) ? nullptr : kNotFinite;
}

}  // namespace sparsenas
