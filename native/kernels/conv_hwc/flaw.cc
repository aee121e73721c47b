#include "kernels/flaw.h"

#include "kernels/conv_hwc/conv_hwc.h"

namespace sparsenas {

const char* FlawOf(const ConvHwcWeights& packed, size_t out_channels, size_t in_channels,
                   size_t kernel) {
  const uint64_t padded = RoundUp(out_channels, kConvHwcGroup);
  if (packed.kernel != kernel || packed.in_channels != in_channels ||
      packed.out_channels != out_channels ||
      packed.weight.size() != padded * kernel * kernel * in_channels ||
      packed.bias.size() != padded)
    return kOtherSizes;
  return AllFinite(packed.weight) && AllFinite(packed.bias) ? nullptr : kNotFinite;
}

}  // namespace sparsenas
