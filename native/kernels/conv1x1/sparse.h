// The loop of sparse 1x1 convolution, over a vector type.
//
// A tile of up to `tile` vectors of pixels stays in registers for a block of kRows output channels
// at a time; each nonzero loads those pixels of its input channel. Input channels are taken in
// parts (pack.cc) so that the pixels of a tile stay in the level 1 cache for all output channels;
// from part to part the sums wait in `out`.
#pragma once

#include "kernels/conv1x1/conv1x1.h"
#include "kernels/finish.h"
#include "kernels/tiles.h"

namespace sparsenas {
namespace {

// Nonzeros whose sums are apart. A multiply-add takes 4 cycles and two start in each, so that fewer
// than 8 sums leave the core waiting.
constexpr int SparseChains(int sums) { return sums <= 2 ? 4 : sums <= 6 ? 2 : 1; }

// sum[i][u] += w[i] * x[u] for one nonzero.
template <class V, int kRows, int kVectors>
inline void SparseNonzero(const float* x, const V (&w)[kRows], V (&sum)[kRows][kVectors]) {
#pragma GCC unroll 32
  for (int u = 0; u < kVectors; ++u) {
    const V in = V::Load(x + u * V::kLanes);
    if constexpr (kRows == 1) {
      sum[0][u] = V::MulAdd(in, w[0], sum[0][u]);  // Loads as it multiplies.
    } else if constexpr (kRows == 4) {
      const V held = V::InRegister(in);
#pragma GCC unroll 4
      for (int i = 0; i < kRows; ++i) sum[i][u] = V::MulAdd(held, w[i], sum[i][u]);
    } else {
#pragma GCC unroll 4
      for (int i = 0; i < kRows; ++i) V::AddProduct(in, w[i], &sum[i][u]);
    }
  }
}

// Numbers, each in every lane of a vector.
template <class V, int kRows>
struct Factors {
  V w[kRows];

  explicit Factors(const float* value) {
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) w[i] = V::Set(value[i]);
  }
};

// One pixel more than whole vectors, of 49 say: a vector of it would be almost empty, so that the
// rows lie side by side in a narrow vector instead, twice if there are two, for both nonzeros of a
// step.
template <class V, int kHeld>
struct SparsePixel {
  using Quad = typename V::Quad;
  Quad sum = Quad::Set(0.0f);

  // Both nonzeros of a step or the first of them; `row` is the first of those held.
  template <bool kBoth, int kRows>
  void Add(const float* x, const float* y, const Conv1x1Step<kRows>& step, int row) {
    const float *w = step.value[0] + row, *v = step.value[1] + row;
    if constexpr (kHeld == 2) {
      const Quad in = Quad::SetPairs(*x, kBoth ? *y : 0.0f);
      sum = Quad::MulAdd(in, kRows == 2 ? Quad::Load(w) : Quad::LoadPairs(w, v), sum);
    } else {
      sum = Quad::MulAdd(Quad::Set(*x), Quad::Load(w), sum);
      if constexpr (kBoth) sum = Quad::MulAdd(Quad::Set(*y), Quad::Load(v), sum);
    }
  }

  // Adds the sums of the rows held.
  void AddTo(float (&total)[kHeld]) const {
    float four[4];
    sum.Store(four);
    for (int i = 0; i < kHeld; ++i) total[i] += kHeld == 2 ? four[i] + four[i + 2] : four[i];
  }
};

inline float ClampOne(float x, const ActivationArgs& clamp) {
  x = x < clamp.low ? clamp.low : x;
  return x > clamp.high ? clamp.high : x;
}

// Both nonzeros of a step, or the first of them, for the rows of the block from kRow on whose sums
// are in registers. The first adds to the sums of chain kFirst, the second to those of the next.
template <int kFirst, bool kBoth, int kRow, bool kPixel, class V, int kRows, int kHeld,
          int kVectors, int kChains>
inline void SparseStep(const Conv1x1Step<kRows>& step, const char* in,
                       V (&sum)[kChains][kHeld][kVectors], SparsePixel<V, kHeld>& pixel) {
  constexpr int kSecond = (kFirst + 1) % kChains;
  const uint64_t offsets = step.offsets;
  const float* x = reinterpret_cast<const float*>(in + static_cast<uint32_t>(offsets));
  const float* y = reinterpret_cast<const float*>(in + (offsets >> 32));
  if constexpr (kRows == 1) {
    const auto pair = V::LoadPair(step.value[0]);
    SparseNonzero(x, {V::template Spread<0>(pair)}, sum[kFirst]);
    if constexpr (kBoth) SparseNonzero(y, {V::template Spread<1>(pair)}, sum[kSecond]);
  } else if constexpr (kRows == 4 && V::kFreeSpread) {
    const auto w = V::LoadFour(step.value[0]);
    SparseNonzero(x,
                  {V::template Spread<0>(w), V::template Spread<1>(w), V::template Spread<2>(w),
                   V::template Spread<3>(w)},
                  sum[kFirst]);
    if constexpr (kBoth) {
      const auto v = V::LoadFour(step.value[1]);
      SparseNonzero(y,
                    {V::template Spread<0>(v), V::template Spread<1>(v), V::template Spread<2>(v),
                     V::template Spread<3>(v)},
                    sum[kSecond]);
    }
  } else if constexpr (kRows == 2 && V::kRegisters >= 32) {
    const auto four = V::LoadFour(step.value[0]);
    SparseNonzero(x, {V::template Spread<0>(four), V::template Spread<1>(four)}, sum[kFirst]);
    if constexpr (kBoth)
      SparseNonzero(y, {V::template Spread<2>(four), V::template Spread<3>(four)}, sum[kSecond]);
  } else if constexpr (V::kRegisters >= 32) {
    // Bound by multiply-adds, whose ports spreads would take.
    const Factors<V, kHeld> w(step.value[0]), v(step.value[1]);
    SparseNonzero(x, w.w, sum[kFirst]);
    if constexpr (kBoth) SparseNonzero(y, v.w, sum[kSecond]);
  } else {
    SparseNonzero(x, Factors<V, kHeld>(step.value[0] + kRow).w, sum[kFirst]);
    if constexpr (kBoth) SparseNonzero(y, Factors<V, kHeld>(step.value[1] + kRow).w, sum[kSecond]);
  }
  if constexpr (kPixel) {
    constexpr size_t kPixelAt = kVectors * V::kLanes;
    pixel.template Add<kBoth>(x + kPixelAt, y + kPixelAt, step, kRow);
  }
}

// One block of output channels, or kHeld rows of it from kRow on: its sums in one part of the input
// channels, for kVectors vectors of pixels. `out` is where they go and, unless `first`, come from.
// Returns the step after the block's.
template <class V, int kVectors, bool kPixel, int kRow, int kHeld, int kRows>
[[gnu::always_inline]] inline const Conv1x1Step<kRows>* SparseBlock(
    const Conv1x1Step<kRows>* step, size_t count, const char* in, const float* bias,
    float* const* out, bool first, bool last, const Finish<V>& finish,
    const ActivationArgs& clamp) {
  constexpr int kChains = SparseChains(kHeld * kVectors);
  V sum[kChains][kHeld][kVectors];
#pragma GCC unroll 4
  for (int i = 0; i < kHeld; ++i) {
    const V start = V::Set(bias[kRow + i]);
#pragma GCC unroll 32
    for (int u = 0; u < kVectors; ++u)
      sum[0][i][u] = __builtin_expect(first, 1) ? start : V::Load(out[kRow + i] + u * V::kLanes);
#pragma GCC unroll 4
    for (int chain = 1; chain < kChains; ++chain) {
#pragma GCC unroll 32
      for (int u = 0; u < kVectors; ++u) sum[chain][i][u] = V::Set(0.0f);
    }
  }

  SparsePixel<V, kHeld> pixel;
  const Conv1x1Step<kRows>* const end = step + count / 2;
  if constexpr (kChains == 4) {
    for (; end - step >= 2; step += 2) {
      SparseStep<0, true, kRow, kPixel>(step[0], in, sum, pixel);
      SparseStep<2, true, kRow, kPixel>(step[1], in, sum, pixel);
    }
  }
#pragma GCC unroll 1
  for (; step != end; ++step) SparseStep<0, true, kRow, kPixel>(*step, in, sum, pixel);
  if (count % 2 != 0) SparseStep<0, false, kRow, kPixel>(*step++, in, sum, pixel);

#pragma GCC unroll 4
  for (int i = kHeld - 1; i >= 0; --i) {
#pragma GCC unroll 32
    for (int u = 0; u < kVectors; ++u) {
      V total = sum[0][i][u];
#pragma GCC unroll 4
      for (int chain = 1; chain < kChains; ++chain) total = V::Add(total, sum[chain][i][u]);
      if (__builtin_expect(last, 1)) total = finish.Clamp(total);
      total.Store(out[kRow + i] + u * V::kLanes);
    }
  }
  if constexpr (kPixel) {
    constexpr size_t kPixelAt = kVectors * V::kLanes;
    float total[kHeld];
    for (int i = 0; i < kHeld; ++i) total[i] = first ? bias[kRow + i] : out[kRow + i][kPixelAt];
    pixel.AddTo(total);
    for (int i = kHeld - 1; i >= 0; --i)
      out[kRow + i][kPixelAt] = last ? ClampOne(total[i], clamp) : total[i];
  }
  return step;
}

// One part of the input channels for kVectors vectors of pixels, from pixel p. Returns where the
// steps of the next part begin. A function of its own, as that keeps `first` and `last` in
// registers.
template <class V, int kRows, int kVectors, bool kPixel>
[[gnu::noinline]] const Conv1x1Step<kRows>* SparsePart(const Conv1x1SparseArgs<kRows>& args,
                                                       const uint32_t* counts,
                                                       const Conv1x1Step<kRows>* step, size_t p,
                                                       bool first, bool last) {
  constexpr int kHeld = Conv1x1HeldRows(V::kRegisters, kRows);
  const char* in = reinterpret_cast<const char*>(args.in + p);
  const size_t stride = args.out_stride;
  const float* bias = args.bias;
  float* row = args.out + p;
  const Finish<V> finish(args.activation);
  const bool curved = last && finish.HasCurve();
  size_t left = args.out_channels, blocks = (left + kRows - 1) / kRows;
  do {
    const size_t count = *counts++;
    if (__builtin_expect(count != 0, 1) || first || last) {
      // A block that has fewer rows repeats its last, which is stored after the others.
      float* out[kRows];
      out[0] = row;
#pragma GCC unroll 4
      for (size_t i = 1; i < kRows; ++i) out[i] = out[i - 1] + (i < left ? stride : 0);
      const Conv1x1Step<kRows>* const next = SparseBlock<V, kVectors, kPixel, 0, kHeld>(
          step, count, in, bias, out, first, last, finish, args.activation);
      if constexpr (kHeld < kRows) {
        if (left > kHeld)
          SparseBlock<V, kVectors, kPixel, kHeld, kHeld>(step, count, in, bias, out, first, last,
                                                         finish, args.activation);
      }
      if (__builtin_expect(curved, 0)) {
        for (size_t i = 0; i < kRows && i < left; ++i)
          finish.Curve(out[i], kVectors * V::kLanes + kPixel);
      }
      step = next;
    }
    bias += kRows;
    row += kRows * stride;
    left -= kRows;
  } while (--blocks > 0);
  return step;
}

template <class V, int kRows, int kVectors, bool kPixel>
void SparsePanel(const Conv1x1SparseArgs<kRows>& args, size_t p) {
  const uint32_t* counts = args.counts;
  const Conv1x1Step<kRows>* steps = args.steps;
  for (size_t part = 0; part < args.parts; ++part) {
    steps = SparsePart<V, kRows, kVectors, kPixel>(args, counts, steps, p, part == 0,
                                                   part + 1 == args.parts);
    counts += (args.out_channels + kRows - 1) / kRows;
  }
}

// Calls SparsePanel with the number of vectors as a constant.
template <class V, int kRows, int kVectors, bool kPixel>
void SparsePanelOf(const Conv1x1SparseArgs<kRows>& args, size_t p, size_t vectors) {
  if constexpr (kVectors > 1) {
    if (vectors < kVectors) return SparsePanelOf<V, kRows, kVectors - 1, kPixel>(args, p, vectors);
  }
  SparsePanel<V, kRows, kVectors, kPixel>(args, p);
}

template <class V, int kRows>
void Conv1x1Sparse(const Conv1x1SparseArgs<kRows>& args) {
  constexpr int kHeld = Conv1x1HeldRows(V::kRegisters, kRows);
  constexpr int kMost = static_cast<int>(Conv1x1WidestTile(V::kLanes, V::kRegisters, kRows));
  constexpr bool kMayPixel = Conv1x1OnePixelMore(2 * V::kLanes + 1, V::kLanes, kHeld);
  const bool pixel = Conv1x1OnePixelMore(args.pixels, V::kLanes, kHeld);
  // Without it, the last vector may reach into the padding of the plane.
  const size_t vectors = (args.pixels - pixel + V::kLanes - 1) / V::kLanes;
  const size_t tiles = TileCount(vectors, args.tile < size_t{kMost} ? args.tile : size_t{kMost});
  for (size_t tile = 0; tile < tiles; ++tile) {
    const size_t begin = TileStart(vectors, tiles, tile);
    const size_t size = TileStart(vectors, tiles, tile + 1) - begin;
    const size_t p = begin * V::kLanes;
    if constexpr (kMayPixel) {
      if (pixel && tile + 1 == tiles) {
        SparsePanelOf<V, kRows, kMost, true>(args, p, size);
        break;
      }
    }
    SparsePanelOf<V, kRows, kMost, false>(args, p, size);
  }
}

}  // namespace
}  // namespace sparsenas
