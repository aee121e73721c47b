// The products of 1x1 convolution and its gradients, over a vector type: a vector is some output
// channels of a pixel.
#pragma once

#include "primitives/primitives.h"

namespace sparsenas {
namespace {

// Pixels of a tile: as many sums as there are registers, less those for weights and an input.
template <class V, size_t kVectors>
constexpr size_t TilePixels() {
  return V::kRegisters >= 32 ? (kVectors == 1   ? 16
                                : kVectors == 2 ? 12
                                                : 8)
                             : (kVectors == 1   ? 8
                                : kVectors == 2 ? 6
                                                : 4);
}

// The last vector of a block may be a part of one.
template <class V, size_t kVectors, bool kRest>
inline void StoreRow(const V (&row)[kVectors], typename V::Lanes rest, float* out) {
#pragma GCC unroll 4
  for (size_t v = 0; v < kVectors; ++v) {
    if (kRest && v == kVectors - 1) {
      row[v].Store(out + v * V::kLanes, rest);
    } else {
      row[v].Store(out + v * V::kLanes);
    }
  }
}

// y[m, :] = sum_k x[m, k] * weight[k, :] for kPixels pixels and one block of columns.
template <class V, size_t kVectors, size_t kPixels, bool kRest>
inline void ProductTile(const Primitives::Product& args, const float* x, const float* weight,
                        typename V::Lanes rest, float* y) {
  V sums[kPixels][kVectors];
#pragma GCC unroll 16
  for (size_t m = 0; m < kPixels; ++m) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) sums[m][v] = V::Set(0.0f);
  }
  // Four pixels from each of these: that many addresses fit into registers.
  constexpr size_t kBases = (kPixels + 3) / 4;
  const float* base[kBases];
#pragma GCC unroll 4
  for (size_t b = 0; b < kBases; ++b) base[b] = x + 4 * b * args.c;
#pragma GCC unroll 1
  for (size_t k = 0; k < args.c; ++k, weight += kVectors * V::kLanes) {
    V row[kVectors];
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) row[v] = V::InRegister(V::Load(weight + v * V::kLanes));
#pragma GCC unroll 16
    for (size_t m = 0; m < kPixels; ++m) {
      const V pixel = V::Set(base[m / 4][m % 4 * args.c]);
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) V::AddProduct(pixel, row[v], &sums[m][v]);
    }
#pragma GCC unroll 4
    for (size_t b = 0; b < kBases; ++b) ++base[b];
  }
#pragma GCC unroll 16
  for (size_t m = 0; m < kPixels; ++m) StoreRow<V, kVectors, kRest>(sums[m], rest, y + m * args.d);
}

// All pixels and one block of columns. The last tile may repeat some of the one before.
template <class V, size_t kVectors, bool kRest>
inline void ProductBlock(const Primitives::Product& args, size_t d, const float* weight) {
  constexpr size_t kPixels = TilePixels<V, kVectors>();
  const typename V::Lanes rest = V::First(kRest ? args.d % V::kLanes : 0);
  if (args.pixels < kPixels) {
    for (size_t p = 0; p < args.pixels; ++p)
      ProductTile<V, kVectors, 1, kRest>(args, args.x + p * args.c, weight, rest,
                                         args.y + p * args.d + d);
    return;
  }
  for (size_t p = 0; p < args.pixels; p += kPixels) {
    if (p + kPixels > args.pixels) p = args.pixels - kPixels;
    ProductTile<V, kVectors, kPixels, kRest>(args, args.x + p * args.c, weight, rest,
                                             args.y + p * args.d + d);
  }
}

template <class V, size_t kVectors>
inline void ProductBlock(const Primitives::Product& args, size_t d, const float* weight) {
  if (d + kVectors * V::kLanes > args.d) {
    ProductBlock<V, kVectors, true>(args, d, weight);
  } else {
    ProductBlock<V, kVectors, false>(args, d, weight);
  }
}

template <class V>
void ProductLoop(const Primitives::Product& args) {
  const float* weight = args.weight;
  size_t left = (args.d + V::kLanes - 1) / V::kLanes;
  for (size_t d = 0; left > 0;) {
    const size_t vectors = ProductVectors(left);
    if (vectors == 3) {
      ProductBlock<V, 3>(args, d, weight);
    } else if (vectors == 2) {
      ProductBlock<V, 2>(args, d, weight);
    } else {
      ProductBlock<V, 1>(args, d, weight);
    }
    d += vectors * V::kLanes;
    weight += args.c * vectors * V::kLanes;
    left -= vectors;
  }
}

// sums[m, :] += sum over pixels of x[p, m] * g[p, :] for kChannels channels and one block.
template <class V, size_t kVectors, size_t kChannels, bool kRest>
inline void WeightTile(const Primitives::Product& args, const float* x, const float* g,
                       typename V::Lanes rest, size_t pitch, float* sums) {
  V total[kChannels][kVectors];
#pragma GCC unroll 8
  for (size_t m = 0; m < kChannels; ++m) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) total[m][v] = V::Load(sums + m * pitch + v * V::kLanes);
  }
#pragma GCC unroll 1
  for (size_t p = 0; p < args.pixels; ++p, x += args.c, g += args.d) {
    V row[kVectors];
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) {
      row[v] = kRest && v == kVectors - 1 ? V::Load(g + v * V::kLanes, rest)
                                          : V::Load(g + v * V::kLanes);
      row[v] = V::InRegister(row[v]);
    }
#pragma GCC unroll 8
    for (size_t m = 0; m < kChannels; ++m) {
      const V pixel = V::Set(x[m]);
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) V::AddProduct(pixel, row[v], &total[m][v]);
    }
  }
#pragma GCC unroll 8
  for (size_t m = 0; m < kChannels; ++m) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) total[m][v].Store(sums + m * pitch + v * V::kLanes);
  }
}

template <class V, size_t kVectors, bool kRest>
inline void WeightBlock(const Primitives::Product& args, const float* g, size_t pitch,
                        float* sums) {
  constexpr size_t kChannels = V::kRegisters / 4;
  const typename V::Lanes rest = V::First(kRest ? args.d % V::kLanes : 0);
  size_t c = 0;
  for (; c + kChannels <= args.c; c += kChannels)
    WeightTile<V, kVectors, kChannels, kRest>(args, args.x + c, g, rest, pitch, sums + c * pitch);
  for (; c < args.c; ++c)
    WeightTile<V, kVectors, 1, kRest>(args, args.x + c, g, rest, pitch, sums + c * pitch);
}

template <class V, size_t kVectors>
inline void WeightBlock(const Primitives::Product& args, const float* g, size_t d, size_t pitch,
                        float* sums) {
  if (d + kVectors * V::kLanes > args.d) {
    WeightBlock<V, kVectors, true>(args, g + d, pitch, sums + d);
  } else {
    WeightBlock<V, kVectors, false>(args, g + d, pitch, sums + d);
  }
}

template <class V>
void WeightProductLoop(const Primitives::Product& args, const float* g, size_t pitch, float* sums) {
  size_t left = (args.d + V::kLanes - 1) / V::kLanes;
  for (size_t d = 0; left > 0;) {
    const size_t vectors = ProductVectors(left);
    if (vectors == 3) {
      WeightBlock<V, 3>(args, g, d, pitch, sums);
    } else if (vectors == 2) {
      WeightBlock<V, 2>(args, g, d, pitch, sums);
    } else {
      WeightBlock<V, 1>(args, g, d, pitch, sums);
    }
    d += vectors * V::kLanes;
    left -= vectors;
  }
}

}  // namespace
}  // namespace sparsenas
