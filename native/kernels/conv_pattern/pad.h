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

// Rows of the input; what is written beyond the end of one is zero, and written again or padding.
template <class V>
inline void PadRows(const float* in, size_t rows, size_t width, float* out, size_t pitch) {
  const size_t whole = width / V::kLanes * V::kLanes;
  const typename V::Lanes rest = V::First(width - whole);
  for (; rows > 0; --rows, in += width, out += pitch) {
    for (size_t x = 0; x < whole; x += V::kLanes) V::Load(in + x).Store(out + x);
    V::Load(in + whole, rest).Store(out + whole);
    for (size_t x = whole + V::kLanes; x < pitch; x += V::kLanes) V::Set(0.0f).Store(out + x);
  }
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

// Pads what the output's rows [begin, end) read.
template <class V>
void Pad(const ConvInput& input, const ConvPatternPadded& padded, size_t begin, size_t end,
         float* out) {
  // Rows of the input: one more on both sides.
  const size_t top = begin == 0 ? 0 : begin * input.stride - 1;
  const size_t bottom = Least(end * input.stride + 1, input.height);
  for (size_t c = 0; c < input.channels; ++c) {
    const float* in = input.data + c * input.plane;
    float* planes = out + c * padded.planes * padded.plane;
    for (size_t i = 0; begin == 0 && i < padded.planes; ++i)
      Zero<V>(planes + i * padded.plane, padded.first);
    float* row = planes + padded.first;
    if (begin > 0) {
      // The zero before the first row, which with stride 2 is a row higher where rows are odd.
      float* before = row + begin * padded.pitch - 1;
      for (size_t i = 0; i < padded.planes; ++i, before += padded.plane)
        before[0] = *(before - padded.pitch) = 0.0f;
    }
    if (padded.planes == 1) {
      PadRows<V>(in + top * input.width, bottom - top, input.width, row + top * padded.pitch,
                 padded.pitch);
    } else {
      for (size_t y = top; y < bottom; ++y) {
        float* even = row + (y & 1) * 2 * padded.plane + y / 2 * padded.pitch;
        SplitRow<V>(in + y * input.width, input.width, even, even + padded.plane, padded.pitch);
      }
    }
    if (end < padded.height) continue;
    // Below the last row, which is a row higher where odd rows are fewer.
    for (size_t i = 0; i < padded.planes; ++i) {
      const size_t missing = i >= 2 && input.height % 2 == 1 ? 1 : 0;
      Zero<V>(row + i * padded.plane + (padded.height - missing) * padded.pitch - 1,
              (1 + missing) * padded.pitch + 2);
    }
  }
}

}  // namespace
}  // namespace sparsenas
