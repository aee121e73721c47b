// Copies the input of a pattern convolution, with zeros around it.
#pragma once

#include "kernels/conv_pattern/conv_pattern.h"
#include "kernels/conv_pattern/padded.h"

namespace sparsenas {
namespace {

inline size_t Least(size_t a, size_t b) { return a < b ? a : b; }

// Zeros; up to a vector more are written.
template <class V>
inline void Zero(float* out, size_t size) {
  for (size_t i = 0; i < size; i += V::kLanes) V::Set(0.0f).Store(out + i);
}

// A row of the input; what is written beyond its end is zero, and written again or padding.
template <class V>
inline void PadRow(const float* in, size_t width, float* out, size_t pitch) {
  size_t x = 0;
  for (; x + V::kLanes <= width; x += V::kLanes) V::Load(in + x).Store(out + x);
  V::Load(in + x, V::First(width - x)).Store(out + x);
  for (x += V::kLanes; x < pitch; x += V::kLanes) V::Set(0.0f).Store(out + x);
}

template <class V>
inline V LoadUntil(const float* in, size_t width, size_t x) {
  if (x + V::kLanes <= width) return V::Load(in + x);
  return V::Load(in + x, V::First(width > x ? width - x : 0));
}

// One row into even and odd columns.
template <class V>
inline void SplitRow(const float* in, size_t width, float* even, float* odd, size_t pitch) {
  for (size_t x = 0; x < pitch; x += V::kLanes) {
    const V low = LoadUntil<V>(in, width, 2 * x);
    const V high = LoadUntil<V>(in, width, 2 * x + V::kLanes);
    V::Even(low, high).Store(even + x);
    V::Odd(low, high).Store(odd + x);
  }
}

// Pads what the output's rows [begin, begin + rows) read.
template <class V>
void Pad(const ConvInput& input, const ConvPatternPadded& padded, size_t begin, size_t rows,
         float* out) {
  const size_t planes = padded.planes, pitch = padded.pitch;
  for (size_t c = 0; c < input.channels; ++c, out += planes * padded.plane) {
    const float* in = input.data + c * input.plane;
    float* first = out + padded.first;
    // The zeros before the first row, and before the one above.
    for (size_t i = 0; i < planes; ++i) {
      float* before = first + i * padded.plane - 1;
      before[0] = *(before - pitch) = 0.0f;
    }
    // From one row above the strip's to one below. Below zero becomes large.
    const size_t stride = input.stride, top = begin * stride - 1;
    for (size_t r = 0; r < rows * stride + 3 - stride; ++r) {
      const size_t y = top + r;
      // With stride 2 the first row is an odd one, and so are all even r.
      float* row = stride == 1
                       ? first + r * pitch - pitch
                       : first + (r % 2 == 0 ? 2 * padded.plane : 0) + (r + 1) / 2 * pitch - pitch;
      if (y >= input.height) {
        Zero<V>(row, pitch);
        if (stride == 2) Zero<V>(row + padded.plane, pitch);
      } else if (stride == 1) {
        PadRow<V>(in + y * input.width, input.width, row, pitch);
      } else {
        SplitRow<V>(in + y * input.width, input.width, row, row + padded.plane, pitch);
      }
    }
  }
}

}  // namespace
}  // namespace sparsenas
