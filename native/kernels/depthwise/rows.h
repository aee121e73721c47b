// Another loop of 3x3 depthwise convolution with stride 1, for WebAssembly.
//
// Two rows of the output at a time, from left to right: the four rows of the input that they need
// are read as they lie in memory. The columns of generic.h jump from row to row, which a processor
// does not foresee, and WebAssembly has no instruction that fetches ahead: measured in Chromium on
// a Zen 5 core, 1.6 to 5 times faster. With stride 2 nothing was gained.
#pragma once

#include "kernels/depthwise/depthwise.h"
#include "kernels/finish.h"

namespace sparsenas {
namespace {

// Stands for the rows above and below a plane.
constexpr size_t kRowsWidest = 1024;
constexpr float kRowsZeros[kRowsWidest] = {};

// A vector at an end of a row needs a pixel beside it.
template <class V>
inline bool HasRows(const DepthwiseArgs& args) {
  return args.kernel == 3 && args.stride == 1 && args.height >= 2 && args.width > V::kLanes &&
         args.width <= kRowsWidest;
}

enum class RowPart { kBegin, kInside, kEnd };

// A vector of each row of the output. `in` and `out` are where its first pixel lies in each row.
template <class V, RowPart kPart>
[[gnu::always_inline]] inline void RowPair(const float* const (&in)[4], float* const (&out)[2],
                                           size_t x, const V (&weight)[9], V bias,
                                           const Finish<V>& finish) {
  V sum[2] = {bias, bias};
#pragma GCC unroll 4
  for (int row = 0; row < 4; ++row) {
    const float* p = in[row] + x;
    const V centre = V::Load(p);
    const V pixels[3] = {kPart == RowPart::kBegin ? V::ShiftUp(centre) : V::Load(p - 1), centre,
                         kPart == RowPart::kEnd ? V::ShiftDown(centre) : V::Load(p + 1)};
#pragma GCC unroll 3
    for (int tap = 0; tap < 3; ++tap) {
#pragma GCC unroll 2
      for (int j = 0; j < 2; ++j) {
        const int filter_row = row - j;
        if (filter_row < 0 || filter_row > 2) continue;
        sum[j] = V::MulAdd(pixels[tap], weight[3 * filter_row + tap], sum[j]);
      }
    }
  }
#pragma GCC unroll 2
  for (int j = 0; j < 2; ++j) finish.Clamp(sum[j]).Store(out[j] + x);
}

template <class V>
void DepthwiseRows(const DepthwiseArgs& args) {
  const size_t height = args.height, width = args.width;
  const Finish<V> finish(args.activation);
  for (size_t c = 0; c < args.channels; ++c) {
    const float* const plane = args.in + c * args.in_stride;
    float* const made = args.out + c * args.out_stride;
    V weight[9];
#pragma GCC unroll 9
    for (int i = 0; i < 9; ++i) weight[i] = V::Set(args.weight[9 * c + i]);
    const V bias = V::Set(args.bias[c]);
    for (size_t done = 0; done < height; done += 2) {
      // An odd last row comes with the one before it, which is computed again.
      const size_t y = done + 2 <= height ? done : height - 2;
      const float* const row = plane + y * width;
      const float* const in[4] = {y > 0 ? row - width : kRowsZeros, row, row + width,
                                  y + 2 < height ? row + 2 * width : kRowsZeros};
      float* const out[2] = {made + y * width, made + (y + 1) * width};
      RowPair<V, RowPart::kBegin>(in, out, 0, weight, bias, finish);
      for (size_t x = V::kLanes; x + V::kLanes < width; x += V::kLanes)
        RowPair<V, RowPart::kInside>(in, out, x, weight, bias, finish);
      // So does the last vector of a row with pixels before it.
      RowPair<V, RowPart::kEnd>(in, out, width - V::kLanes, weight, bias, finish);
    }
    finish.Curve(made, height * width);
  }
}

}  // namespace
}  // namespace sparsenas
