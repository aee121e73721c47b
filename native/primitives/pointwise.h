// 1x1 convolution: y[p, d] = sum_c x[p, c] * weight[c, d]. x [P, C], weight [C, D], y [P, D].
#pragma once

#include "base/aligned.h"
#include "primitives/filter.h"

namespace sparsenas {

// A matrix [c, d] whose element (i, j) is at i * down + j * right, in blocks of columns as
// Primitives::Product takes it.
AlignedArray<float> PackedColumns(const Primitives& primitives, const float* matrix, size_t c,
                                  size_t d, size_t down, size_t right);

class PointwiseFilter : public Filter {
 public:
  PointwiseFilter(const Primitives& primitives, size_t pixels, size_t c, size_t d,
                  const float* weight);

  void Forward(size_t count, const float* x, float* y, float* scratch) const override;
  void Backward(size_t count, const float* x, const float* g, float* gx, float* sums,
                float* scratch) const override;
  void Unpack(const float* sums, float* gweight) const override;

 private:
  const Primitives& primitives_;
  size_t c_, pitch_;
  AlignedArray<float> weight_, transposed_;  // In blocks of columns.
};

}  // namespace sparsenas
