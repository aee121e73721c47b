#include "kernels/conv_panel_plan.h"

#include <algorithm>

#include "base/arch.h"
#include "base/error.h"
#include "base/order.h"
#include "kernels/tiles.h"

namespace sparsenas {

size_t ConvPanelFloats() {
  // Offsets in it, in bytes, have 16 bits.
  return std::min(RoundUp(L1DataBytes() / sizeof(float) * 3 / 4, kStrideFloats),
                  (size_t{1} << 16) / sizeof(float));
}

size_t ConvPanelScratchFloats(size_t height, size_t width, size_t channels, size_t kernel,
                              size_t stride, size_t panel) {
  return ConvPanelScratch(height, width, channels, kernel, stride).floats + panel;
}

void CheckConvKernel(size_t kernel, size_t columns, const char* op) {
  if (kernel % 2 == 0) Fail("%s: expected an odd kernel, found %zux%zu.", op, kernel, kernel);
  if (kernel > columns || columns % (kernel * kernel) != 0)
    Fail("%s: expected a multiple of %zux%zu weights in each row, found %zu.", op, kernel, kernel,
         columns);
}

ConvPanelPlan PlanConvPanel(const std::vector<bool>& used, size_t kernel, size_t rows) {
  const size_t size = static_cast<size_t>(std::count(used.begin(), used.end(), true));
  const size_t parts = std::max(TileCount(size, std::max(rows, size_t{1})), size_t{1});
  const uint32_t taps = static_cast<uint32_t>(kernel * kernel);
  ConvPanelPlan plan;
  plan.places.resize(used.size());
  size_t column = 0;
  for (size_t part = 0; part < parts; ++part) {
    const size_t count = TileStart(size, parts, part + 1) - TileStart(size, parts, part);
    const auto first = plan.taps.size();
    std::vector<ConvTap> of_part;
    std::vector<double> keys;
    for (; of_part.size() < count; ++column) {
      if (!used[column]) continue;
      const uint32_t i = static_cast<uint32_t>(column);
      of_part.push_back({i / taps, i % taps});
      keys.push_back(i % taps);
    }
    for (const size_t k : OrderBy(keys)) plan.taps.push_back(of_part[k]);
    for (size_t row = 0; row < count; ++row) {
      const ConvTap& tap = plan.taps[first + row];
      plan.places[tap.channel * taps + tap.tap] = {static_cast<uint32_t>(part),
                                                   static_cast<uint32_t>(row)};
    }
    plan.part_taps.push_back(static_cast<uint32_t>(count));
  }
  return plan;
}

}  // namespace sparsenas
