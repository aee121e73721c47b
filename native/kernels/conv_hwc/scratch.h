// Where the rows of the image lie that are taken apart into planes.
#pragma once

#include "kernels/conv_hwc/conv_hwc.h"
#include "kernels/tensor.h"

namespace sparsenas {
namespace {

// Floats before the first pixel of a plane: the last ones of them are the zeros left of the image,
// and a cache line keeps the pixels aligned.
constexpr size_t kConvHwcMargin = 16;

struct ConvHwcScratch {
  size_t plane;       // Floats of a plane, from margin to the zeros on the right.
  size_t channel;     // Floats from channel to channel: as many planes as the stride is long.
  size_t row;         // Floats from row to row.
  ptrdiff_t tap[11];  // From the pixel of an output to the one each tap of a row meets.

  // The widest vector may begin at the last output pixel, and looks up to a kernel further.
  ConvHwcScratch(size_t width, size_t in_channels, size_t kernel, size_t stride, size_t padding)
      : plane(kConvHwcMargin +
              RoundUp(WindowsAlong(width, kernel, stride, padding), kStrideFloats) +
              2 * kStrideFloats),
        channel(stride * plane),
        row(in_channels * channel),
        tap{} {
    for (size_t s = 0; s < kernel; ++s) {
      // Output x is at pixel S x, which is pixel x of the first plane. `past` is never negative.
      const size_t past = s + kernel * stride - padding;
      tap[s] = static_cast<ptrdiff_t>(past % stride * plane + past / stride) -
               static_cast<ptrdiff_t>(kernel);
    }
  }

  // As many rows as the kernel has take turns; y may be -padding.
  template <size_t kKernel>
  size_t Row(ptrdiff_t y) const {
    return static_cast<size_t>(y + kKernel) % kKernel * row;
  }
  size_t Plane(size_t c, size_t phase) const { return c * channel + phase * plane; }
};

}  // namespace
}  // namespace sparsenas
