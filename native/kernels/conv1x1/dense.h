// The loop of dense 1x1 convolution, over a vector type.
//
// A tile of kRows output channels x kVectors vectors of pixels stays in registers while the input
// channels go by; each activation loaded serves kRows channels and each weight kVectors vectors.
// Weights come from main memory once: tiles of pixels take turns with those that fit in the level 2
// cache.
#pragma once

#include "kernels/conv1x1/conv1x1.h"
#include "kernels/finish.h"
#include "kernels/tiles.h"

namespace sparsenas {
namespace {

template <class V>
constexpr size_t kDenseRows = V::kRegisters >= 32 ? 8 : 4;

// Activations of one tile that stay in the level 1 cache, beside the weights of a group.
constexpr size_t kDensePanelBytes = 36 << 10;

// One tile: the output channels [d, d + kRows), pixels from p, input channels [c_begin, c_end).
// `rows` of the kRows are real; the others are computed from zero weights and not stored. With
// kPixel there is one pixel more after the vectors.
template <class V, size_t kRows, size_t kVectors, bool kPixel>
inline void DenseTile(const Conv1x1DenseArgs& args, size_t p, size_t d, size_t rows, size_t c_begin,
                      size_t c_end) {
  const size_t group = d / kConv1x1Group, row = d % kConv1x1Group;
  float* out = args.out + d * args.out_stride + p;
  V sum[kRows][kVectors];
  if (c_begin == 0) {
#pragma GCC unroll 8
    for (size_t i = 0; i < kRows; ++i) {
      const V bias = V::Set(args.bias[d + i]);
#pragma GCC unroll 8
      for (size_t u = 0; u < kVectors; ++u) sum[i][u] = bias;
    }
  } else {
#pragma GCC unroll 8
    for (size_t i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
      for (size_t u = 0; u < kVectors; ++u)
        sum[i][u] = i < rows ? V::Load(out + i * args.out_stride + u * V::kLanes) : V::Set(0.0f);
    }
  }

  // Of the one pixel, output channels side by side.
  using Quad = typename V::Quad;
  constexpr size_t kQuads = kPixel ? kRows / 4 : 0, kPixelAt = kVectors * V::kLanes;
  Quad pixel[kQuads + 1];
#pragma GCC unroll 2
  for (size_t i = 0; i < kQuads; ++i) pixel[i] = Quad::Set(0.0f);

  const float* in = args.in + c_begin * args.in_stride + p;
  const float* weight = args.weight + (group * args.in_channels + c_begin) * kConv1x1Group + row;
#pragma GCC unroll 1
  for (size_t c = c_begin; c < c_end; ++c) {
    // In a network weights come from far away: 4 KiB ahead made MobileNet v1 and v2 8% to 12%
    // faster.
    __builtin_prefetch(weight + 1024);
    V x[kVectors];
#pragma GCC unroll 8
    for (size_t u = 0; u < kVectors; ++u) x[u] = V::Load(in + u * V::kLanes);
#pragma GCC unroll 8
    for (size_t i = 0; i < kRows; ++i) {
      const V w = V::Set(weight[i]);
#pragma GCC unroll 8
      for (size_t u = 0; u < kVectors; ++u) sum[i][u] = V::MulAdd(x[u], w, sum[i][u]);
    }
    if constexpr (kPixel) {
      const Quad one = Quad::Set(in[kPixelAt]);
#pragma GCC unroll 2
      for (size_t i = 0; i < kQuads; ++i)
        pixel[i] = Quad::MulAdd(one, Quad::Load(weight + 4 * i), pixel[i]);
    }
    in += args.in_stride;
    weight += kConv1x1Group;
  }

  const bool last = c_end == args.in_channels;
  const Finish<V> finish(args.activation);
  if (last) {
#pragma GCC unroll 8
    for (size_t i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
      for (size_t u = 0; u < kVectors; ++u) sum[i][u] = finish.Clamp(sum[i][u]);
    }
  }
#pragma GCC unroll 8
  for (size_t i = 0; i < kRows; ++i) {
    if (i < rows) {
#pragma GCC unroll 8
      for (size_t u = 0; u < kVectors; ++u)
        sum[i][u].Store(out + i * args.out_stride + u * V::kLanes);
    }
  }
  if constexpr (kPixel) {
    float totals[kRows];
    for (size_t i = 0; i < kQuads; ++i) pixel[i].Store(totals + 4 * i);
    for (size_t i = 0; i < rows; ++i) {
      float* at = out + i * args.out_stride + kPixelAt;
      const V total = V::Set(totals[i] + (c_begin == 0 ? args.bias[d + i] : *at));
      (last ? finish.Clamp(total) : total).Store(at, V::First(1));
    }
  }
  if (last) {
    for (size_t i = 0; i < rows; ++i) finish.Curve(out + i * args.out_stride, kPixelAt + kPixel);
  }
}

// The output channels [begin, end) of a tile of pixels, one part of the input channels after the
// other.
template <class V, size_t kVectors, bool kPixel>
inline void DensePanel(const Conv1x1DenseArgs& args, size_t p, size_t begin, size_t end) {
  constexpr size_t kRows = kDenseRows<V>;
  const size_t most = kDensePanelBytes / (kVectors * V::kLanes * sizeof(float));
  const size_t parts = TileCount(args.in_channels, most);
  for (size_t part = 0; part < parts; ++part) {
    const size_t c_begin = TileStart(args.in_channels, parts, part);
    const size_t c_end = TileStart(args.in_channels, parts, part + 1);
    for (size_t d = begin; d < end; d += kRows) {
      const size_t rows = end - d < kRows ? end - d : kRows;
      DenseTile<V, kRows, kVectors, kPixel>(args, p, d, rows, c_begin, c_end);
    }
  }
}

template <class V, size_t kVectors>
inline void DensePanel(const Conv1x1DenseArgs& args, size_t p, size_t begin, size_t end,
                       bool pixel) {
  // Of 16 registers none is left for it.
  if constexpr (V::kRegisters >= 32 && V::kLanes > 4) {
    if (pixel) return DensePanel<V, kVectors, true>(args, p, begin, end);
  }
  DensePanel<V, kVectors, false>(args, p, begin, end);
}

template <class V>
inline void Conv1x1Dense(const Conv1x1DenseArgs& args) {
  // 49 pixels, say, as 48 and one more: a vector of it would be almost empty.
  const bool pixel = V::kRegisters >= 32 && V::kLanes > 4 && args.pixels > V::kLanes &&
                     args.pixels % V::kLanes == 1;
  // Without it, the last vector may reach into the padding of the plane.
  const size_t vectors = (args.pixels - pixel + V::kLanes - 1) / V::kLanes;
  const size_t tiles = TileCount(vectors, kTileVectors<V>);
  for (size_t d = 0; d < args.out_channels; d += args.block) {
    const size_t end = d + args.block < args.out_channels ? d + args.block : args.out_channels;
    for (size_t tile = 0; tile < tiles; ++tile) {
      const size_t begin = TileStart(vectors, tiles, tile);
      const size_t p = begin * V::kLanes;
      const bool more = pixel && tile + 1 == tiles;
      switch (TileStart(vectors, tiles, tile + 1) - begin) {
        case 1:
          DensePanel<V, 1>(args, p, d, end, more);
          break;
        case 2:
          DensePanel<V, 2>(args, p, d, end, more);
          break;
        default:
          DensePanel<V, kTileVectors<V>>(args, p, d, end, more);
          break;
      }
    }
  }
}

}  // namespace
}  // namespace sparsenas
