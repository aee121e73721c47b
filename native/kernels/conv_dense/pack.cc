#include <algorithm>

#include "base/error.h"
#include "kernels/conv_dense/conv_dense.h"
#include "kernels/conv_panel_plan.h"
#include "kernels/sparse_rows.h"

namespace sparsenas {

ConvDenseWeights PackConvDense(const float* weight, const float* bias, size_t out_channels,
                               size_t in_channels, size_t kernel, size_t pixels, Isa isa) {
  if (in_channels == 0 || out_channels == 0)
    Fail("conv_dense: expected at least one channel in and out, found %zu in and %zu out.",
         in_channels, out_channels);
  const size_t columns = in_channels * kernel * kernel;
  CheckConvKernel(kernel, columns, "conv_dense");
  CheckFinite(weight, out_channels * columns, "conv_dense", "weights");
  CheckFinite(bias, out_channels, "conv_dense", "biases");
  ConvDenseWeights packed;
  packed.in_channels = in_channels;
  packed.out_channels = out_channels;
  packed.kernel = kernel;
  const size_t lanes = IsaLanes(isa);
  const size_t registers = isa == Isa::kAvx512 || isa == Isa::kNeon ? 32 : 16;
  const bool pixel = ConvDenseOnePixelMore(pixels, lanes, registers);
  const size_t vectors = kConvDenseVectors + (pixel ? 1 : 0);
  packed.pitch = std::max(vectors * lanes, kStrideFloats);
  const size_t padded = RoundUp(out_channels, kConvDenseGroup);
  packed.bias = AlignedArray<float>(padded);
  std::copy_n(bias, out_channels, packed.bias.data());

  const ConvPanelPlan plan =
      PlanConvPanel(std::vector<bool>(columns, true), kernel, ConvPanelFloats() / packed.pitch);
  packed.part_taps = AlignedArray<uint32_t>(plan.part_taps.size());
  std::copy(plan.part_taps.begin(), plan.part_taps.end(), packed.part_taps.data());
  packed.taps = AlignedArray<ConvTap>(plan.taps.size());
  std::copy(plan.taps.begin(), plan.taps.end(), packed.taps.data());
  packed.weight = AlignedArray<float>(padded * columns);
  float* to = packed.weight.data();
  size_t first = 0;
  for (const size_t count : plan.part_taps) {
    for (size_t d = 0; d < padded; d += kConvDenseGroup) {
      for (size_t i = first; i < first + count; ++i) {
        const size_t column = plan.taps[i].channel * kernel * kernel + plan.taps[i].tap;
        for (size_t row = d; row < d + kConvDenseGroup; ++row)
          *to++ = row < out_channels ? weight[row * columns + column] : 0.0f;
      }
    }
    first += count;
  }
  return packed;
}

void ConvDenseWeights::Fill(ConvDenseArgs& args) const {
  args.in.channels = in_channels;
  args.in.kernel = kernel;
  args.out_channels = out_channels;
  args.pitch = pitch;
  args.parts = part_taps.size();
  args.part_taps = part_taps.data();
  args.taps = taps.data();
  args.weight = weight.data();
  args.bias = bias.data();
}

size_t ConvDenseScratchFloats(size_t height, size_t width, size_t in_channels, size_t kernel,
                              size_t stride) {
  return ConvPanelScratchFloats(height, width, in_channels, kernel, stride, ConvPanelFloats());
}

}  // namespace sparsenas
