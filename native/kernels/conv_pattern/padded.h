// The input of a pattern convolution with zeros around it, and how its tiles are cut.
#pragma once

#include "kernels/conv_pattern/conv_pattern.h"
#include "kernels/tensor.h"

namespace sparsenas {
namespace {

// Planes of the output's size, of which every tap is a fixed distance away: with stride 1 the input
// itself, with stride 2 its even and odd rows and columns apart. One zero between a row and the
// next serves both, and there is a row of zeros above and below: nothing needs a mask. Places where
// a row's zero is are computed as if they were pixels, and not stored.
struct ConvPatternPadded {
  size_t height, width;  // Of the output.
  size_t pitch;          // Floats from row to row.
  size_t first;          // Floats before the first pixel.
  size_t plane;          // Floats from plane to plane.
  size_t planes;         // Of each channel.

  ConvPatternPadded(size_t in_height, size_t in_width, size_t stride)
      : height(OutSide(in_height, stride)),
        width(OutSide(in_width, stride)),
        pitch(width + 1),
        first(pitch + 1),
        // The last vector may begin at the last pixel and look a row and a pixel further.
        plane(PlaneStride(1, first + (height + 1) * pitch + 2 * kStrideFloats)),
        planes(stride * stride) {}

  // Places of the output: pixels and the zeros between rows.
  size_t places() const { return height * pitch - 1; }

  // Floats from place 0 to the pixel that tap (r, s) multiplies there, in channel 0.
  size_t Tap(size_t r, size_t s) const {
    if (planes == 1) return r * pitch + s;
    // Of output row y, tap r has input row 2 y + r - 1: odd row y - 1, even row y, odd row y.
    const size_t phase = (r != 1) * 2 + (s != 1);
    return phase * plane + (r == 0 ? 0 : pitch) + (s == 0 ? 0 : 1);
  }
};

// Vectors of places of a tile: four taps of each stay in registers, beside the sums and weights of
// a kernel or two.
constexpr size_t ConvPatternVectors(size_t registers) { return registers >= 32 ? 4 : 2; }

// The widest tile: four vectors of sixteen floats.
constexpr size_t kConvPatternWidest = 64;

}  // namespace
}  // namespace sparsenas
