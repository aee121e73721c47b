#include <algorithm>

#include "base/error.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/sparse_rows.h"

namespace sparsenas {

DepthwiseWeights PackDepthwise(const float* weight, const float* bias, size_t channels,
                               size_t kernel) {
  if (channels == 0) Fail("depthwise: expected at least one channel, found none.");
  if (kernel != 3 && kernel != 5 && kernel != 7)
    Fail("depthwise: expected a 3x3, 5x5 or 7x7 kernel, found %zux%zu.", kernel, kernel);
  const size_t weights = channels * kernel * kernel;
  CheckFinite(weight, weights, "depthwise", "weights");
  CheckFinite(bias, channels, "depthwise", "biases");
  DepthwiseWeights packed;
  packed.kernel = kernel;
  packed.channels = channels;
  packed.weight = AlignedArray<float>(weights);
  packed.bias = AlignedArray<float>(channels);
  std::copy_n(weight, weights, packed.weight.data());
  std::copy_n(bias, channels, packed.bias.data());
  return packed;
}

void DepthwiseWeights::Fill(DepthwiseArgs& args) const {
  args.kernel = kernel;
  args.channels = channels;
  args.weight = weight.data();
  args.bias = bias.data();
}

}  // namespace sparsenas
