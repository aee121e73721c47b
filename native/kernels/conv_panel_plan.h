// Which taps of a convolution fill a panel together (kernels/conv_panel.h): decided when weights
// are packed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/conv_panel.h"

namespace sparsenas {

struct ConvPanelPlan {
  // Where in the panel of its part a column of the matrix [D, C * K * K] is.
  struct Place {
    uint32_t part, row;
  };
  std::vector<uint32_t> part_taps;  // How many taps each part has; one part at least.
  std::vector<ConvTap> taps;  // Part by part; by tap within one, so that Fill knows it longer.
  std::vector<Place> places;  // Of each column that is used.
};

// Cuts the used columns, (c * K + r) * K + s, into parts of nearly equal size, at most `rows`.
ConvPanelPlan PlanConvPanel(const std::vector<bool>& used, size_t kernel, size_t rows);

// Fails unless `kernel` is odd and `columns` a multiple of its taps.
void CheckConvKernel(size_t kernel, size_t columns, const char* op);

}  // namespace sparsenas
