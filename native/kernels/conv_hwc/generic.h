// The loop of the first convolution, over a vector type.
//
// As many rows of the image as the kernel has are taken apart into planes, for each channel S of
// every S-th pixel, so that all outputs of a vector find their pixel of a tap side by side. Then a
// tile of kRows output channels x kVectors vectors of pixels stays in registers while the K K C
// taps go by.
#pragma once

#include "kernels/conv_hwc/conv_hwc.h"
#include "kernels/conv_hwc/scratch.h"
#include "kernels/finish.h"
#include "kernels/tiles.h"

namespace sparsenas {
namespace {

template <class V>
constexpr size_t kConvHwcRows = V::kRegisters >= 32 ? 8 : 4;

// Copies every kStep-th float from `in` on.
template <size_t kStep>
inline void CopyEvery(const float* in, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = in[i * kStep];
}

// The same for the steps of images of one and three channels, known to the compiler, and any other.
inline void CopyEvery(const float* in, size_t step, size_t count, float* out) {
  if (step == 1) return CopyEvery<1>(in, count, out);
  if (step == 2) return CopyEvery<2>(in, count, out);
  if (step == 3) return CopyEvery<3>(in, count, out);
  if (step == 6) return CopyEvery<6>(in, count, out);
  for (size_t i = 0; i < count; ++i) out[i] = in[i * step];
}

// Takes row y of the image apart into `planes`; a row outside the image is zero. One function for
// kernels of all sizes.
[[gnu::noinline]] void SplitRow(const ConvHwcArgs& args, const ConvHwcScratch& scratch, ptrdiff_t y,
                                float* planes) {
  const bool inside = y >= 0 && y < static_cast<ptrdiff_t>(args.height);
  for (size_t c = 0; c < args.in_channels; ++c) {
    for (size_t phase = 0; phase < args.stride; ++phase) {
      float* plane = planes + scratch.Plane(c, phase);
      for (size_t i = 0; i < kConvHwcMargin; ++i) plane[i] = 0.0f;
      size_t end = kConvHwcMargin;
      if (inside && phase < args.width) {
        const size_t count = (args.width - phase - 1) / args.stride + 1;
        CopyEvery(args.in + (y * args.width + phase) * args.in_channels + c,
                  args.stride * args.in_channels, count, plane + end);
        end += count;
      }
      for (; end < scratch.plane; ++end) plane[end] = 0.0f;
    }
  }
}

// Copies so many rows of `width` floats as far as `most` of each.
[[gnu::noinline]] void CopyRows(const float* in, size_t rows, size_t width, size_t most, float* out,
                                size_t out_stride) {
  const size_t count = most < width ? most : width;
  for (size_t i = 0; i < rows; ++i) {
    for (size_t k = 0; k < count; ++k) out[i * out_stride + k] = in[i * width + k];
  }
}

// One tile: output channels [d, d + kRows), output pixels from x in row y. `rows` of the kRows are
// real; the others are computed from zero weights and not stored. Pixels from `end` on are not
// ours.
template <class V, size_t kKernel, size_t kRows, size_t kVectors>
inline void ConvHwcTile(const ConvHwcArgs& args, const ConvHwcScratch& scratch, size_t y, size_t x,
                        size_t end, size_t d, size_t rows) {
  V sum[kRows][kVectors];
#pragma GCC unroll 8
  for (size_t i = 0; i < kRows; ++i) {
    const V bias = V::Set(args.bias[d + i]);
#pragma GCC unroll 4
    for (size_t u = 0; u < kVectors; ++u) sum[i][u] = bias;
  }
  const float* weight = args.weight +
                        d / kConvHwcGroup * kKernel * kKernel * args.in_channels * kConvHwcGroup +
                        d % kConvHwcGroup;
  for (size_t r = 0; r < kKernel; ++r) {
    const float* plane = args.scratch + scratch.Row<kKernel>(y * args.stride + r - args.padding) +
                         kConvHwcMargin + x;
    for (size_t c = 0; c < args.in_channels; ++c, plane += scratch.channel) {
#pragma GCC unroll 8
      for (size_t s = 0; s < kKernel; ++s) {
        const float* in = plane + scratch.tap[s];
        V pixels[kVectors];
#pragma GCC unroll 4
        for (size_t u = 0; u < kVectors; ++u) pixels[u] = V::Load(in + u * V::kLanes);
#pragma GCC unroll 8
        for (size_t i = 0; i < kRows; ++i) {
          const V w = V::Set(weight[i]);
#pragma GCC unroll 4
          for (size_t u = 0; u < kVectors; ++u) sum[i][u] = V::MulAdd(pixels[u], w, sum[i][u]);
        }
        weight += kConvHwcGroup;
      }
    }
  }

  const Finish<V> finish(args.activation);
  const size_t width = WindowsAlong(args.width, kKernel, args.stride, args.padding);
  const size_t p = y * width + x;
  // Rows go downwards: what this writes beyond the row is written again, unless it would land
  // outside the plane, or on rows of another thread.
  constexpr size_t kWidth = kVectors * V::kLanes;
  const bool inside = p + kWidth <= end;
  float* out = args.out + d * args.out_stride + p;
  alignas(kAlignment) float tile[kRows * kWidth];
  float* to = inside ? out : tile;
  const size_t stride = inside ? args.out_stride : kWidth;
#pragma GCC unroll 8
  for (size_t i = 0; i < kRows; ++i) {
    if (i >= rows) break;
#pragma GCC unroll 4
    for (size_t u = 0; u < kVectors; ++u)
      finish.Clamp(sum[i][u]).Store(to + i * stride + u * V::kLanes);
  }
  if (!inside) CopyRows(tile, rows, kWidth, width - x, out, args.out_stride);
}

template <class V, size_t kKernel, size_t kVectors>
inline void ConvHwcPixels(const ConvHwcArgs& args, const ConvHwcScratch& scratch, size_t y,
                          size_t x, size_t end) {
  constexpr size_t kRows = kConvHwcRows<V>;
  for (size_t d = 0; d < args.out_channels; d += kRows) {
    const size_t rows = args.out_channels - d < kRows ? args.out_channels - d : kRows;
    ConvHwcTile<V, kKernel, kRows, kVectors>(args, scratch, y, x, end, d, rows);
  }
}

template <class V, size_t kKernel>
inline void ConvHwcSized(const ConvHwcArgs& args) {
  const ConvHwcScratch scratch(args.width, args.in_channels, kKernel, args.stride, args.padding);
  const size_t out_height = WindowsAlong(args.height, kKernel, args.stride, args.padding);
  const size_t out_width = WindowsAlong(args.width, kKernel, args.stride, args.padding);
  const size_t vectors = (out_width + V::kLanes - 1) / V::kLanes;
  const size_t tiles = TileCount(vectors, kTileVectors<V>);
  const ptrdiff_t padding = static_cast<ptrdiff_t>(args.padding);
  const size_t first = TileStart(out_height, args.shares, args.share);
  const size_t last = TileStart(out_height, args.shares, args.share + 1);
  const size_t end = last == out_height ? args.out_stride : last * out_width;
  // The next row of the image to take apart.
  ptrdiff_t split = static_cast<ptrdiff_t>(first * args.stride) - padding;
  const Finish<V> finish(args.activation);
  for (size_t y = first; y < last; ++y) {
    // With a stride longer than the kernel some rows would not be needed, but take their turn.
    for (const ptrdiff_t next = y * args.stride + kKernel - padding; split < next; ++split)
      SplitRow(args, scratch, split, args.scratch + scratch.Row<kKernel>(split));
    for (size_t tile = 0; tile < tiles; ++tile) {
      const size_t begin = TileStart(vectors, tiles, tile);
      const size_t x = begin * V::kLanes;
      switch (TileStart(vectors, tiles, tile + 1) - begin) {
        case 1:
          // There is no other vector then. Rows of four pixels are too few for code of their own.
          if constexpr (V::kLanes > 4) {
            ConvHwcPixels<V, kKernel, 1>(args, scratch, y, x, end);
            break;
          }
          [[fallthrough]];
        case 2:
          ConvHwcPixels<V, kKernel, 2>(args, scratch, y, x, end);
          break;
        default:
          ConvHwcPixels<V, kKernel, kTileVectors<V>>(args, scratch, y, x, end);
          break;
      }
    }
    for (size_t d = 0; d < args.out_channels; ++d)
      finish.Curve(args.out + d * args.out_stride + y * out_width, out_width);
  }
}

template <class V>
inline void ConvHwc(const ConvHwcArgs& args) {
  if (args.kernel == 3) return ConvHwcSized<V, 3>(args);
  if (args.kernel == 5) return ConvHwcSized<V, 5>(args);
  if (args.kernel == 7) return ConvHwcSized<V, 7>(args);
  ConvHwcSized<V, 11>(args);
}

}  // namespace
}  // namespace sparsenas
