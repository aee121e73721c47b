#include "kernels/flaw.h"

#include "kernels/depthwise/depthwise.h"

namespace sparsenas {

const char* FlawOf(const DepthwiseWeights& packed, size_t channels, size_t kernel) {
  if (packed.kernel != kernel || packed.channels != channels ||
      packed.weight.size() != uint64_t{channels} * kernel * kernel ||
      packed.bias.size() != channels)
    return kOtherSizes;
  return AllFinite(packed.weight) && AllFinite(packed.bias) ? nullptr : kNotFinite;
}

}  // namespace sparsenas
