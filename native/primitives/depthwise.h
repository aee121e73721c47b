// Depthwise convolution.
//
//   y[n, h, w, c] = sum_{r, s} kernel[r, s, c]
//                   * x[n, stride * h + r - k / 2, stride * w + s - k / 2, c]
//
// with zeros outside the image. x [N, H, W, C], kernel [k, k, C], k odd and at most kMostTaps,
// y [N, out H, out W, C].
#pragma once

#include "base/aligned.h"
#include "primitives/filter.h"

namespace sparsenas {

class DepthwiseFilter : public Filter {
 public:
  DepthwiseFilter(const Primitives& primitives, size_t batch, const WindowShape& shape,
                  const float* kernel);

  void Forward(size_t count, const float* x, float* y, float* scratch) const override;
  void Backward(size_t count, const float* x, const float* g, float* gx, float* sums,
                float* scratch) const override;
  void Unpack(const float* sums, float* gkernel) const override;

 private:
  const Primitives& primitives_;
  WindowShape shape_;
  size_t pitch_;
  AlignedArray<float> taps_;        // [k, k, pitch]
  AlignedArray<float> input_taps_;  // See PackForInput.
};

}  // namespace sparsenas
