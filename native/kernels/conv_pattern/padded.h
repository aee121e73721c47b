// The input of a pattern convolution with zeros around it, and how its tiles are cut.
#pragma once

#include "kernels/conv_pattern/conv_pattern.h"
#include "kernels/tensor.h"

namespace sparsenas {
namespace {

// A strip: some rows of the input at a time, so that those of all channels stay in the cache.
// Planes of the size of its output, of which every tap is a fixed distance away: with stride 1 the
// input itself, with stride 2 its even and odd rows and columns apart. A zero between a row and the
// next serves both, and there is a row more above and below: nothing needs a mask. Places where a
// row's zero is are computed as if they were pixels, and not stored.
struct ConvPatternPadded {
  size_t width;   // Of the output.
  size_t strip;   // The most rows of the output at a time.
  size_t pitch;   // Floats from row to row.
  size_t first;   // Floats before the first pixel: it starts a cache line.
  size_t plane;   // Floats from plane to plane.
  size_t planes;  // Of each channel.

  ConvPatternPadded(size_t in_width, size_t stride, size_t strip)
      : width(OutSide(in_width, stride)),
        strip(strip),
        pitch(PitchOf(strip, width)),
        first(RoundUp(pitch + 1, kStrideFloats)),
        // The last vector may begin at the last pixel and look a row and a pixel further.
        plane(PlaneStride(1, first + (strip + 1) * pitch + 2 * kStrideFloats)),
        planes(stride * stride) {}

  // Places of so many rows of the output: pixels and the zeros between rows.
  size_t Places(size_t rows) const { return rows * pitch - 1; }

  // Floats from the start of a channel to the pixel that tap 3 * r + s multiplies in place 0.
  size_t Tap(size_t tap) const {
    const size_t r = tap / 3, s = tap % 3;
    if (planes == 1) return first + r * pitch + s - (pitch + 1);
    // Of output row y, tap r has input row 2 y + r - 1: odd row y - 1, even row y, odd row y.
    const size_t phase = (r != 1) * 2 + (s != 1);
    return phase * plane + first - (r == 0 ? pitch : 0) - (s == 0 ? 1 : 0);
  }

 private:
  // Rows that start a cache line too where that takes no more of them: of the loads of three taps
  // in nine, all are aligned then.
  static size_t PitchOf(size_t rows, size_t width) {
    const size_t aligned = RoundUp(width + 1, kStrideFloats);
    const bool as_many = RoundUp(rows * aligned - 1, kStrideFloats) ==
                         RoundUp(rows * (width + 1) - 1, kStrideFloats);
    return as_many ? aligned : width + 1;
  }
};

// Whether a kernel holds all nine taps of an input channel in registers, or four.
constexpr bool ConvPatternHoldsNine(size_t registers) { return registers >= 32; }

// Vectors of places of a tile: as many as there are registers for, beside the sums and weights of a
// kernel or two.
constexpr size_t ConvPatternVectors(size_t registers) {
  return ConvPatternHoldsNine(registers) ? 3 : 2;
}

// The widest tile: three vectors of sixteen floats.
constexpr size_t kConvPatternWidest = 48;

}  // namespace
}  // namespace sparsenas
