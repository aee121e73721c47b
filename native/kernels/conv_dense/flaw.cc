#include "kernels/flaw.h"

#include "base/arch.h"
#include "kernels/conv_dense/conv_dense.h"

namespace sparsenas {

const char* FlawOf(const ConvDenseWeights& packed, size_t out_channels, size_t in_channels,
                   size_t kernel, Isa isa) {
  const uint64_t padded = RoundUp(out_channels, kConvDenseGroup);
  const uint64_t columns = uint64_t{in_channels} * kernel * kernel;
  if (packed.in_channels != in_channels || packed.out_channels != out_channels ||
      packed.kernel != kernel || packed.pitch < IsaLanes(isa) || packed.pitch > ConvPanelFloats() ||
      packed.part_taps.size() == 0 || packed.taps.size() != columns ||
      packed.weight.size() != padded * columns || packed.bias.size() != padded)
    return kOtherSizes;
  uint64_t taps = 0;
  for (size_t i = 0; i < packed.part_taps.size(); ++i) {
    if (packed.part_taps[i] > ConvPanelFloats() / packed.pitch) return kOtherSizes;
    taps += packed.part_taps[i];
  }
  if (taps != columns) return kOtherSum;
  if (!TapsInside(packed.taps, in_channels, kernel)) return kOutsideInput;
  return AllFinite(packed.weight) && AllFinite(packed.bias) ? nullptr : kNotFinite;
}

}  // namespace sparsenas
