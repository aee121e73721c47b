#include "kernels/flaw.h"

#include <algorithm>

#include "kernels/conv_pattern/conv_pattern.h"
#include "kernels/conv_pattern/padded.h"

namespace sparsenas {

const char* FlawOf(const ConvPatternWeights& packed, size_t out_channels, size_t in_channels,
                   size_t height, size_t width, size_t stride) {
  if (packed.in_channels != in_channels || packed.out_channels != out_channels ||
      packed.block == 0 || packed.block > out_channels ||
      packed.groups_of.size() != CeilDiv(out_channels, packed.block) ||
      packed.bias.size() != out_channels)
    return kOtherSizes;
  uint64_t groups = 0, kernels = 0;
  for (size_t i = 0; i < packed.groups_of.size(); ++i) groups += packed.groups_of[i];
  if (groups + 1 != packed.groups.size()) return kOtherSum;
  for (size_t i = 0; i < groups; ++i) kernels += packed.groups[i].kernels;
  if (kernels + kConvPatternAhead != packed.kernels.size()) return kOtherSum;

  const ConvPatternPadded padded(height, width, stride);
  const size_t channel_floats = padded.planes * padded.plane;
  size_t taps[9];
  for (size_t tap = 0; tap < 9; ++tap) taps[tap] = padded.Tap(tap / 3, tap % 3);
  const ConvPatternGroup* group = packed.groups.data();
  const ConvPatternKernel* kernel = packed.kernels.data();
  for (size_t block = 0; block < packed.groups_of.size(); ++block) {
    const size_t rows = std::min(packed.block, out_channels - block * packed.block);
    for (const ConvPatternGroup* end = group + packed.groups_of[block]; group != end; ++group) {
      for (const uint32_t offset : group->offset) {
        const size_t floats = offset / sizeof(float);
        if (offset % sizeof(float) != 0 || floats / channel_floats >= in_channels ||
            std::find(taps, taps + 9, floats % channel_floats) == taps + 9)
          return kOutsideInput;
      }
      for (const ConvPatternKernel* last = kernel + group->kernels; kernel != last; ++kernel) {
        if (kernel->row >= rows) return "an output channel beyond the last";
        if (!AllFinite(kernel->weight, kConvPatternTaps)) return kNotFinite;
      }
    }
  }
  return AllFinite(packed.bias) ? nullptr : kNotFinite;
}

}  // namespace sparsenas
