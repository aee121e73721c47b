// The loop of dense convolution, over a vector type.
//
// A tile of kRows output channels x kVectors vectors of output pixels stays in registers while the
// taps of a panel go by; each vector of pixels loaded serves kRows channels and each weight
// kVectors vectors. From part to part of the taps the sums wait in `out`.
#pragma once

#include "kernels/conv_dense/conv_dense.h"
#include "kernels/finish.h"
#include "kernels/tiles.h"

namespace sparsenas {
namespace {

template <class V>
constexpr size_t kConvDenseRows = V::kRegisters >= 32 ? 8 : 4;

// One tile: the output channels [d, d + kRows), pixels from p, `taps` rows of the panel. `rows` of
// the kRows are real; the others are computed from zero weights and not stored. With kPixel there
// is one pixel more after the vectors.
template <class V, size_t kRows, size_t kVectors, bool kPixel>
inline void ConvDenseTile(const ConvDenseArgs& args, const float* x_row, const float* weight,
                          size_t taps, size_t p, size_t d, size_t rows, bool first, bool last) {
  float* out = args.out + d * args.out_stride + p;
  V sum[kRows][kVectors];
#pragma GCC unroll 8
  for (size_t i = 0; i < kRows; ++i) {
    const V bias = V::Set(args.bias[d + i]);
#pragma GCC unroll 4
    for (size_t u = 0; u < kVectors; ++u)
      sum[i][u] = first || i >= rows ? bias : V::Load(out + i * args.out_stride + u * V::kLanes);
  }

  // Of the one pixel, output channels side by side.
  using Quad = typename V::Quad;
  constexpr size_t kQuads = kPixel ? kRows / 4 : 0, kPixelAt = kVectors * V::kLanes;
  Quad pixel[kQuads + 1];
  float totals[kRows];
  if constexpr (kPixel) {
    for (size_t i = 0; i < kRows; ++i)
      totals[i] = first || i >= rows ? args.bias[d + i] : out[i * args.out_stride + kPixelAt];
    for (size_t i = 0; i < kQuads; ++i) pixel[i] = Quad::Load(totals + 4 * i);
  }

#pragma GCC unroll 1
  for (size_t tap = 0; tap < taps; ++tap) {
    // As in conv1x1/dense.h: ResNet-50 became 8% faster.
    __builtin_prefetch(weight + 1024);
    V x[kVectors];
#pragma GCC unroll 4
    for (size_t u = 0; u < kVectors; ++u) x[u] = V::Load(x_row + u * V::kLanes);
#pragma GCC unroll 8
    for (size_t i = 0; i < kRows; ++i) {
      const V w = V::Set(weight[i]);
#pragma GCC unroll 4
      for (size_t u = 0; u < kVectors; ++u) sum[i][u] = V::MulAdd(x[u], w, sum[i][u]);
    }
    if constexpr (kPixel) {
      const Quad one = Quad::Set(x_row[kPixelAt]);
#pragma GCC unroll 2
      for (size_t i = 0; i < kQuads; ++i)
        pixel[i] = Quad::MulAdd(one, Quad::Load(weight + 4 * i), pixel[i]);
    }
    x_row += args.pitch;
    weight += kConvDenseGroup;
  }

  if (last) {
    const Finish<V> finish(args.activation);
#pragma GCC unroll 8
    for (size_t i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (size_t u = 0; u < kVectors; ++u) sum[i][u] = finish(sum[i][u]);
    }
  }
#pragma GCC unroll 8
  for (size_t i = 0; i < kRows; ++i) {
    if (i >= rows) continue;
#pragma GCC unroll 4
    for (size_t u = 0; u < kVectors; ++u)
      sum[i][u].Store(out + i * args.out_stride + u * V::kLanes);
  }
  if constexpr (kPixel) {
    const Finish<V> finish(args.activation);
    for (size_t i = 0; i < kQuads; ++i) pixel[i].Store(totals + 4 * i);
    for (size_t i = 0; i < rows; ++i) {
      const V total = V::Set(totals[i]);
      (last ? finish(total) : total).Store(out + i * args.out_stride + kPixelAt, V::First(1));
    }
  }
}

// All output channels of a tile of pixels, one part of the taps after the other.
template <class V, size_t kVectors, bool kPixel>
void ConvDensePixels(const ConvDenseArgs& args, ConvPanel<V>& panel, size_t p) {
  constexpr size_t kRows = kConvDenseRows<V>;
  panel.MoveTo(p, kVectors + kPixel);
  const ConvTap* taps = args.taps;
  const float* weight = args.weight;
  const size_t groups = (args.out_channels + kConvDenseGroup - 1) / kConvDenseGroup;
  for (size_t part = 0; part < args.parts; ++part) {
    const size_t count = args.part_taps[part];
    panel.template Fill<kVectors + kPixel>(taps, count, args.pitch);
    for (size_t d = 0; d < args.out_channels; d += kRows) {
      const size_t rows = args.out_channels - d < kRows ? args.out_channels - d : kRows;
      const float* group = weight + d / kConvDenseGroup * count * kConvDenseGroup;
      ConvDenseTile<V, kRows, kVectors, kPixel>(args, panel.data(), group + d % kConvDenseGroup,
                                                count, p, d, rows, part == 0,
                                                part + 1 == args.parts);
    }
    taps += count;
    weight += groups * count * kConvDenseGroup;
  }
}

template <class V, size_t kVectors>
void ConvDensePixels(const ConvDenseArgs& args, ConvPanel<V>& panel, size_t p, bool pixel) {
  if constexpr (V::kRegisters >= 32) {
    if (pixel) return ConvDensePixels<V, kVectors, true>(args, panel, p);
  }
  ConvDensePixels<V, kVectors, false>(args, panel, p);
}

template <class V>
void ConvDense(const ConvDenseArgs& args) {
  ConvPanel<V> panel(args.in, args.scratch);
  const size_t pixels =
      OutSide(args.in.height, args.in.stride) * OutSide(args.in.width, args.in.stride);
  const bool pixel = ConvDenseOnePixelMore(pixels, V::kLanes, V::kRegisters) && args.shares == 1 &&
                     args.pitch >= (kConvDenseVectors + 1) * V::kLanes;
  // The last vector may reach into the padding of the plane.
  const size_t all = (pixels - pixel + V::kLanes - 1) / V::kLanes;
  const size_t first = TileStart(all, args.shares, args.share);
  const size_t vectors = TileStart(all, args.shares, args.share + 1) - first;
  const size_t most = args.pitch / V::kLanes;
  const size_t tiles = TileCount(vectors, most < kTileVectors<V> ? most : kTileVectors<V>);
  for (size_t tile = 0; tile < tiles; ++tile) {
    const size_t begin = TileStart(vectors, tiles, tile);
    const size_t p = (first + begin) * V::kLanes;
    switch (TileStart(vectors, tiles, tile + 1) - begin) {
      case 1:
        ConvDensePixels<V, 1>(args, panel, p, pixel && tile + 1 == tiles);
        break;
      case 2:
        ConvDensePixels<V, 2>(args, panel, p, pixel && tile + 1 == tiles);
        break;
      default:
        ConvDensePixels<V, kTileVectors<V>>(args, panel, p, pixel && tile + 1 == tiles);
        break;
    }
  }
}

}  // namespace
}  // namespace sparsenas
