#include "base/error.h"
#include "kernels/conv_hwc/conv_hwc.h"
#include "kernels/conv_hwc/scratch.h"
#include "kernels/sparse_rows.h"

namespace sparsenas {

ConvHwcWeights PackConvHwc(const float* weight, const float* bias, size_t out_channels,
                           size_t in_channels, size_t kernel) {
  if (in_channels == 0 || out_channels == 0)
    Fail("conv_hwc: expected at least one channel in and out, found %zu in and %zu out.",
         in_channels, out_channels);
  if (kernel != 3 && kernel != 5 && kernel != 7 && kernel != 11)
    Fail("conv_hwc: expected a 3x3, 5x5, 7x7 or 11x11 kernel, found %zux%zu.", kernel, kernel);
  const size_t taps = kernel * kernel * in_channels;  // Of an output channel.
  CheckFinite(weight, out_channels * taps, "conv_hwc", "weights");
  CheckFinite(bias, out_channels, "conv_hwc", "biases");
  ConvHwcWeights packed;
  packed.kernel = kernel;
  packed.in_channels = in_channels;
  packed.out_channels = out_channels;
  const size_t padded = RoundUp(out_channels, kConvHwcGroup);
  packed.weight = AlignedArray<float>(padded * taps);
  packed.bias = AlignedArray<float>(padded);
  for (size_t d = 0; d < out_channels; ++d) {
    packed.bias[d] = bias[d];
    float* group = packed.weight.data() + d / kConvHwcGroup * taps * kConvHwcGroup;
    for (size_t r = 0; r < kernel; ++r) {
      for (size_t s = 0; s < kernel; ++s) {
        for (size_t c = 0; c < in_channels; ++c) {
          const size_t tap = (r * in_channels + c) * kernel + s;
          group[tap * kConvHwcGroup + d % kConvHwcGroup] =
              weight[((d * kernel + r) * kernel + s) * in_channels + c];
        }
      }
    }
  }
  return packed;
}

void ConvHwcWeights::Fill(ConvHwcArgs& args) const {
  args.kernel = kernel;
  args.in_channels = in_channels;
  args.out_channels = out_channels;
  args.weight = weight.data();
  args.bias = bias.data();
}

size_t ConvHwcScratchFloats(size_t width, size_t in_channels, size_t kernel, size_t stride,
                            size_t padding) {
  return kernel * ConvHwcScratch(width, in_channels, kernel, stride, padding).row;
}

}  // namespace sparsenas
