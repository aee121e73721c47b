#include "kernels/flaw.h"

#include "base/arch.h"
#include "kernels/conv_direct/conv_direct.h"

namespace sparsenas {

const char* FlawOf(const ConvDirectWeights& packed, size_t out_channels, size_t in_channels,
                   size_t kernel, Isa isa) {
  const size_t parts = packed.part.size();
  if (packed.in_channels != in_channels || packed.out_channels != out_channels ||
      packed.kernel != kernel || packed.pitch < IsaLanes(isa) || packed.pitch > ConvPanelFloats() ||
      parts == 0 || packed.bias.size() != out_channels)
    return kOtherSizes;
  uint64_t taps = 0, rows = 0, fours = 0;
  for (size_t i = 0; i < parts; ++i) {
    if (packed.part[i].taps > ConvPanelFloats() / packed.pitch) return kOtherSizes;
    taps += packed.part[i].taps;
    rows += packed.part[i].rows;
  }
  if (taps != packed.taps.size() || rows != packed.rows.size()) return kOtherSum;
  if (!TapsInside(packed.taps, in_channels, kernel)) return kOutsideInput;
  for (size_t i = 0; i < rows; ++i) {
    if (packed.rows[i].channel >= out_channels) return "an output channel beyond the last";
    fours += CeilDiv(packed.rows[i].nonzeros, kConvDirectFour);
  }
  if (fours + kConvDirectAhead != packed.nonzeros.size()) return kOtherSum;
  // The first part begins all sums and the last one ends them.
  constexpr size_t kNext = sizeof(ConvDirectRow) / sizeof(uint32_t);
  const ConvDirectRow* const last = packed.rows.data() + rows - packed.part[parts - 1].rows;
  if (packed.part[0].rows != out_channels || packed.part[parts - 1].rows != out_channels ||
      !IsPermutation(&packed.rows[0].channel, out_channels, kNext) ||
      !IsPermutation(&last->channel, out_channels, kNext))
    return "output channels left out";

  const uint32_t apart = static_cast<uint32_t>(packed.pitch * sizeof(float));
  const ConvDirectRow* row = packed.rows.data();
  const ConvDirectNonzeros* four = packed.nonzeros.data();
  for (size_t i = 0; i < parts; ++i) {
    const uint32_t end = apart * packed.part[i].taps;
    for (const ConvDirectRow* end_row = row + packed.part[i].rows; row != end_row; ++row) {
      for (uint32_t k = 0; k < row->nonzeros; ++k) {
        const ConvDirectNonzeros& nonzeros = four[k / kConvDirectFour];
        const uint32_t offset = nonzeros.offset[k % kConvDirectFour];
        if (offset >= end || offset % apart != 0) return kOutsideInput;
        if (!AllFinite(nonzeros.value + k % kConvDirectFour, 1)) return kNotFinite;
      }
      four += CeilDiv(row->nonzeros, kConvDirectFour);
    }
  }
  return AllFinite(packed.bias) ? nullptr : kNotFinite;
}

}  // namespace sparsenas
