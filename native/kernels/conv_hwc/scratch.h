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
  size_t plane;      // Floats of a plane, from margin to the zeros on the right.
  size_t channel;    // Floats from channel to channel: one plane, or even and odd pixels.
  size_t row;        // Floats from row to row.
  ptrdiff_t tap[7];  // From the pixel of an output to the one each tap of a row meets.

  // The widest vector may begin at the last output pixel, and looks kernel / 2 pixels further.
  ConvHwcScratch(size_t width, size_t in_channels, size_t kernel, size_t stride)
      : plane(kConvHwcMargin + RoundUp(OutSide(width, stride), kStrideFloats) + kStrideFloats),
        channel(stride * plane),
        row(in_channels * channel),
        tap{} {
    for (size_t s = 0; s < kernel; ++s) {
      const ptrdiff_t from = static_cast<ptrdiff_t>(s) - static_cast<ptrdiff_t>(kernel / 2);
      // With stride 2, output x is at pixel 2 x: even pixel x, before odd pixel x.
      const bool odd = stride == 2 && from % 2 != 0;
      tap[s] = stride == 1 ? from : odd ? (from - 1) / 2 + static_cast<ptrdiff_t>(plane) : from / 2;
    }
  }

  // As many rows as the kernel has take turns; y may be -(kernel / 2).
  template <size_t kKernel>
  size_t Row(ptrdiff_t y) const {
    return static_cast<size_t>(y + kKernel) % kKernel * row;
  }
  size_t Plane(size_t c, size_t phase) const { return c * channel + phase * plane; }
};

}  // namespace
}  // namespace sparsenas
