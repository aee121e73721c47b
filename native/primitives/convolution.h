// Convolution of k x k pixels.
//
//   y[n, h, w, d] = sum_{r, s, c} kernel[r, s, c, d]
//                   * x[n, stride * h + r - k / 2, stride * w + s - k / 2, c]
//
// with zeros outside the image. x [N, H, W, C], kernel [k, k, C, D], k odd and at most kMostTaps,
// y [N, out H, out W, D]. What each pixel of some rows sees is copied side by side, [pixels, k k
// C], so that it is a product.
#pragma once

#include "base/aligned.h"
#include "primitives/filter.h"

namespace sparsenas {

class ConvolutionFilter : public Filter {
 public:
  // `kernel` may be null where only its gradient is computed.
  ConvolutionFilter(const Primitives& primitives, size_t batch, const WindowShape& shape, size_t d,
                    const float* kernel);

  void Forward(size_t count, const float* x, float* y, float* scratch) const override;
  // Either of `gx` and `sums` may be null, and is not computed then.
  void Backward(size_t count, const float* x, const float* g, float* gx, float* sums,
                float* scratch) const override;
  void Unpack(const float* sums, float* gkernel) const override;

 private:
  // Calls work(first row, pixels) for some rows of an image's output at a time.
  template <class Work>
  void ForRows(const Work& work) const;
  // Calls work(patch, pixel, floats) for what lies inside the image of each row of each patch.
  template <class Work>
  void ForPatches(size_t first_row, size_t pixels, const Work& work) const;
  void Gather(const float* x, size_t first_row, size_t pixels, float* patches) const;

  const Primitives& primitives_;
  WindowShape shape_;
  size_t taps_, pitch_, rows_;               // k k C; floats of a row of sums; rows at a time.
  AlignedArray<float> kernel_, transposed_;  // In blocks of columns.
};

}  // namespace sparsenas
