// The loop of depthwise convolution, over a vector type.
//
// The plane is cut into columns of kLanes output pixels, and a column is walked from top to bottom:
// each row of the input is loaded once, as one vector for each tap of a filter's row, and added to
// the sums of the output rows it belongs to. A sum depends on no other, so that the core works on
// several rows at a time.
//
// Columns go from right to left and rows downwards: what a vector writes beyond the end of its row
// lands on pixels that are written later, or in the padding. Only where it would land outside the
// plane is a store cut short. Loads never leave a row.
#pragma once

#include "kernels/depthwise/depthwise.h"
#include "kernels/finish.h"
#include "kernels/tensor.h"

namespace sparsenas {
namespace {

// How vectors lie on planes: here a vector is kLanes pixels of one plane. (x86_avx512.cc has one of
// two planes.) `plane` is the number of floats from plane to plane.
template <class Vector>
struct OnePlane {
  using V = Vector;
  using Lanes = typename V::Lanes;
  static constexpr size_t kPlanes = 1;
  static constexpr size_t kLanes = V::kLanes;

  static Lanes First(size_t n) { return V::First(n); }
  static V Set(const float* x, size_t) { return V::Set(*x); }
  static V Load(const float* p, size_t) { return V::Load(p); }
  static V Load(const float* p, size_t, Lanes lanes) { return V::Load(p, lanes); }
  static void Store(V x, float* p, size_t) { x.Store(p); }
  static void Store(V x, float* p, size_t, Lanes lanes) { x.Store(p, lanes); }

  // Even and odd ones of 2 * kLanes pixels, the second kLanes of which begin with lanes2.
  static void LoadEvenOdd(const float* p, size_t, V* even, V* odd) {
    const V low = V::Load(p), high = V::Load(p + kLanes);
    *even = V::Even(low, high);
    *odd = V::Odd(low, high);
  }
  static void LoadEvenOdd(const float* p, size_t, Lanes lanes, Lanes lanes2, V* even, V* odd) {
    const V low = V::Load(p, lanes), high = V::Load(p + kLanes, lanes2);
    *even = V::Even(low, high);
    *odd = V::Odd(low, high);
  }

  static V ShiftUp(V x) { return V::ShiftUp(x); }
  static V ShiftDown(V x) { return V::ShiftDown(x); }
};

// kPlanes channels: their filters and planes.
template <class Planes>
struct DepthwiseChannels {
  using V = typename Planes::V;

  size_t height, width, in_stride;           // Of the input.
  size_t out_height, out_width, out_stride;  // Of the output; out_stride floats are ours.
  const float* in;
  float* out;
  const float* weight;
  const float* bias;
  Finish<V> finish;
};

// Which ends of the rows the taps of a column reach beyond. Those of a column that is the whole row
// have no pixels of other columns beside them.
enum Edges { kNoEdge, kFirstEdge, kLastEdge, kBothEdges, kWholeRow };

// A column of vectors.
template <class Planes, size_t kKernel, size_t kStride, Edges kEdges>
class DepthwiseColumn {
 public:
  // x_out: of the first lane.
  DepthwiseColumn(const DepthwiseChannels<Planes>& channels, size_t x_out)
      : channels_(channels),
        x_in_(x_out * kStride),
        here_(Inside(channels.width, x_in_)),
        here2_(Inside(channels.width, x_in_ + kLanes)),
        stored_(Inside(channels.out_width, x_out)),
        ahead_(channels.in_stride <= kLargestAhead ? channels.in_stride : 0),
        bias_(Planes::Set(channels.bias, 1)),
        in_(channels.in + x_in_),
        out_(channels.out + x_out),
        out_left_(channels.out_stride - x_out) {
    for (size_t i = 0; i < kKernel * kKernel; ++i)
      weight_[i] = Planes::Set(channels.weight + i, kKernel * kKernel);
  }

  [[gnu::always_inline]] void Run() const {
    if constexpr (kStride == 1) {
      RunStride1();
    } else {
      RunStride2();
    }
  }

 private:
  using V = typename Planes::V;
  static constexpr size_t kLanes = Planes::kLanes;
  static constexpr size_t kPadding = kKernel / 2;
  // Whether every output has two sums, which wait for each other less. Measured on a Zen 5 core:
  // vectors of sixteen gain up to 1.1 times with 3x3 kernels, 1.05 to 1.25 with larger ones, though
  // weights then wait in memory; those of eight, with half the registers, lose as much.
  static constexpr bool kTwoSums = V::kLanes >= 16;
  static constexpr bool kFirst = kEdges != kNoEdge && kEdges != kLastEdge;
  static constexpr bool kLast = kEdges != kNoEdge && kEdges != kFirstEdge;

  // The lanes of a vector at pixel `first` of a row that are inside the row.
  static typename Planes::Lanes Inside(size_t width, size_t first) {
    const size_t inside = width > first ? width - first : 0;
    return Planes::First(inside < kLanes ? inside : kLanes);
  }

  // x one pixel further right; the pixel that comes in on the left is p[0].
  [[gnu::always_inline]] static V Left(V x, const float* p) {
    return kFirst ? Planes::ShiftUp(x) : V::ShiftUp(x, V::Set(*p));
  }
  // x one pixel further left; the pixel that comes in on the right is in[i].
  [[gnu::always_inline]] V Right(V x, const float* in, size_t i) const {
    if constexpr (kEdges == kWholeRow) return Planes::ShiftDown(x);
    if (kLast && x_in_ + i >= channels_.width) return Planes::ShiftDown(x);
    return V::ShiftDown(x, V::Set(in[i]));
  }

  // The pixels of input row y that the taps of a filter's row meet.
  [[gnu::always_inline]] void LoadRow(size_t y, V (&x)[kKernel]) const {
    const float* in = in_ + y * channels_.width;
    constexpr size_t c = kPadding;
    if constexpr (kEdges != kWholeRow) {
      for (size_t i = 0; i < kStride * kLanes; i += 16) __builtin_prefetch(in + ahead_ + i + 8);
    }
    if constexpr (kStride == 1) {
      x[c] = kLast ? Planes::Load(in, channels_.in_stride, here_)
                   : V::Keep(Planes::Load(in, channels_.in_stride));
#pragma GCC unroll 4
      for (size_t i = 1; i <= kPadding; ++i) {
        if constexpr (kFirst || kLast) {
          x[c - i] = Left(x[c - i + 1], in - i);
        } else {
          x[c - i] = V::Keep(V::Load(in - i));
        }
        if constexpr (kLast) {
          x[c + i] = Right(x[c + i - 1], in, kLanes + i - 1);
        } else {
          x[c + i] = V::Keep(V::Load(in + i));
        }
      }
    } else {
      // Taps at an even distance from the centre meet even pixels, the others odd ones.
      V odd;
      if constexpr (kLast) {
        Planes::LoadEvenOdd(in, channels_.in_stride, here_, here2_, &x[c], &odd);
      } else {
        Planes::LoadEvenOdd(in, channels_.in_stride, &x[c], &odd);
      }
      x[c + 1] = odd;
      x[c - 1] = Left(odd, in - 1);
#pragma GCC unroll 4
      for (size_t i = 2; i <= kPadding; ++i) {
        x[c - i] = Left(x[c - i + 2], in - i);
        x[c + i] = Right(x[c + i - 2], in, 2 * kLanes + i - 2);
      }
    }
  }

  struct Sum {
    V odd, even;  // Of odd and even taps of a row, or both in `odd`.
  };
  [[gnu::always_inline]] Sum Start() const { return {bias_, V::Set(0.0f)}; }

  // Adds the taps of row r + kStep * j of the filter to sum[kSums - 1 - j]. Tap by tap: the next
  // addition to the same sum is kSums multiply-adds later.
  template <size_t kFrom, size_t kEnd, size_t kSums>
  [[gnu::always_inline]] void AddRow(const V (&x)[kKernel], size_t r, size_t step,
                                     Sum (&sum)[kSums]) const {
#pragma GCC unroll 8
    for (size_t s = 0; s < kKernel; ++s) {
#pragma GCC unroll 8
      for (size_t j = kFrom; j < kEnd; ++j) {
        V& part = kTwoSums && s % 2 == 0 ? sum[j].even : sum[j].odd;
        part = V::MulAdd(x[s], weight_[(r - step * j) * kKernel + s], part);
      }
    }
  }

  [[gnu::always_inline]] void StoreRow(size_t y, const Sum& sum) const {
    const size_t begin = y * channels_.out_width;
    const V all = channels_.finish.Clamp(kTwoSums ? V::Add(sum.odd, sum.even) : sum.odd);
    if (begin + kLanes <= out_left_) {
      Planes::Store(all, out_ + begin, channels_.out_stride);
    } else {
      Planes::Store(all, out_ + begin, channels_.out_stride, stored_);
    }
  }

  // sum[j] is of output row y - kPadding + j while input row y is added.
  [[gnu::always_inline]] void RunStride1() const {
    const size_t height = channels_.height;
    if (height < 2 * kPadding) return RunShort();
    Sum sum[kKernel];
#pragma GCC unroll 8
    for (Sum& each : sum) each = Start();
    AddTop<0>(sum);
    for (size_t y = kPadding; y < height - kPadding; ++y) {
      Add<0, kKernel>(y, sum);
      StoreRow(y - kPadding, sum[0]);
      Next(sum);
    }
    AddBottom<0>(sum);
#pragma GCC unroll 4
    for (size_t j = 0; j < kPadding; ++j) StoreRow(height - kPadding + j, sum[j]);
  }

  // The first and the last kPadding rows, without what belongs to rows outside the output.
  template <size_t kRow>
  [[gnu::always_inline]] void AddTop(Sum (&sum)[kKernel]) const {
    if constexpr (kRow < kPadding) {
      Add<kPadding - kRow, kKernel>(kRow, sum);
      Next(sum);
      AddTop<kRow + 1>(sum);
    }
  }
  template <size_t kRow>
  [[gnu::always_inline]] void AddBottom(Sum (&sum)[kKernel]) const {
    if constexpr (kRow < kPadding) {
      const size_t y = channels_.height - kPadding + kRow;
      Add<0, kKernel - 1 - kRow>(y, sum);
      StoreRow(y - kPadding, sum[0]);
      Next(sum);
      AddBottom<kRow + 1>(sum);
    }
  }

  // Where rows are both, one row of the output after the other: planes so low are rare, and take
  // little code.
  [[gnu::always_inline]] void RunShort() const {
    for (size_t y = 0; y < channels_.height; ++y) {
      Sum sum = Start();
#pragma GCC unroll 1
      for (size_t r = 0; r < kKernel; ++r) {
        const size_t in_y = y + r - kPadding;  // Below zero becomes large.
        if (in_y >= channels_.height) continue;
        V x[kKernel];
        LoadRow(in_y, x);
        const float* weight = channels_.weight + r * kKernel;
#pragma GCC unroll 8
        for (size_t s = 0; s < kKernel; ++s)
          sum.odd = V::MulAdd(x[s], Planes::Set(weight + s, kKernel * kKernel), sum.odd);
      }
      StoreRow(y, sum);
    }
  }

  template <size_t kFrom, size_t kEnd>
  [[gnu::always_inline]] void Add(size_t y, Sum (&sum)[kKernel]) const {
    V x[kKernel];
    LoadRow(y, x);
    AddRow<kFrom, kEnd>(x, kKernel - 1, 1, sum);
  }

  template <size_t kSums>
  [[gnu::always_inline]] void Next(Sum (&sum)[kSums]) const {
#pragma GCC unroll 8
    for (size_t j = 0; j + 1 < kSums; ++j) sum[j] = sum[j + 1];
    sum[kSums - 1] = Start();
  }

  // sum[j] is of output row y + j. Two rows of the input at a time; the second completes row y.
  [[gnu::always_inline]] void RunStride2() const {
    V x[kKernel];
    Sum sum[kPadding + 1];
#pragma GCC unroll 8
    for (Sum& each : sum) each = Start();
    // Where a filter has more than one row above its centre, rows at the top come before the pair
    // that completes output row 0.
    for (size_t y = size_t{0} - kPadding / 2; y != channels_.out_height; ++y) {
      const size_t in_y = 2 * y + kPadding - 1;  // Below zero becomes large.
      if (in_y < channels_.height) {
        LoadRow(in_y, x);
        AddRow<0, kPadding>(x, kKernel - 2, 2, sum);
      }
      if (in_y + 1 < channels_.height) {
        LoadRow(in_y + 1, x);
        AddRow<0, kPadding + 1>(x, kKernel - 1, 2, sum);
      }
      if (y < channels_.out_height) StoreRow(y, sum[0]);
      Next(sum);
    }
  }

  const DepthwiseChannels<Planes> channels_;
  const size_t x_in_;  // Of the first lane.
  // Lanes inside the row at x_in_ and in the vector after it, and of the output.
  const typename Planes::Lanes here_, here2_, stored_;
  // As a row is read, the same place of the next plane is fetched into the cache: columns are
  // strides of memory, which processors do not foresee. Measured on a Zen 5 core, out of its level
  // 2 cache: 28 x 28 and 56 x 56 pixels 1.1 to 1.2 times faster. Larger planes would push each
  // other out of the level 1 cache; those of one column are over too soon.
  static constexpr size_t kLargestAhead = 6144;  // 24 KiB.
  const size_t ahead_;
  V weight_[kKernel * kKernel];
  const V bias_;
  const float* const in_;
  float* const out_;
  const size_t out_left_;  // Floats of the output's plane from out_ on.
};

template <class Planes, size_t kKernel, size_t kStride, Edges kEdges>
inline void RunColumn(const DepthwiseChannels<Planes>& channels, size_t x_out) {
  DepthwiseColumn<Planes, kKernel, kStride, kEdges>(channels, x_out).Run();
}

// Rows no wider than a vector of four come from images so small that no code is spent on them.
template <class Planes>
constexpr bool kHasWholeRows = Planes::kPlanes > 1 || Planes::kLanes > 4;

template <class Planes, size_t kKernel, size_t kStride>
inline void DepthwisePlanes(const DepthwiseChannels<Planes>& channels) {
  constexpr size_t kLanes = Planes::kLanes;
  if (kHasWholeRows<Planes> && channels.out_width <= kLanes)
    return RunColumn<Planes, kKernel, kStride, kWholeRow>(channels, 0);
  if constexpr (Planes::kPlanes == 1) {
    for (size_t column = (channels.out_width + kLanes - 1) / kLanes; column-- > 0;) {
      const size_t x = column * kLanes;
      // Whether a tap would reach beyond the row, or, with stride 2, the odd pixels beside it.
      constexpr size_t kReach = kKernel / 2 > kStride - 1 ? kKernel / 2 : kStride - 1;
      const bool last = channels.width <= kStride * (x + kLanes - 1) + kReach;
      if (column == 0 && last) {
        RunColumn<Planes, kKernel, kStride, kBothEdges>(channels, x);
      } else if (column == 0) {
        RunColumn<Planes, kKernel, kStride, kFirstEdge>(channels, x);
      } else if (last) {
        RunColumn<Planes, kKernel, kStride, kLastEdge>(channels, x);
      } else {
        RunColumn<Planes, kKernel, kStride, kNoEdge>(channels, x);
      }
    }
  }
}

// Channels [begin, args.channels) as far as kPlanes divide them. Returns the first one left over.
template <class Planes, size_t kKernel, size_t kStride>
inline size_t DepthwiseRange(const DepthwiseArgs& args, size_t begin) {
  DepthwiseChannels<Planes> channels = {args.height,
                                        args.width,
                                        args.in_stride,
                                        OutSide(args.height, kStride),
                                        OutSide(args.width, kStride),
                                        args.out_stride,
                                        nullptr,
                                        nullptr,
                                        nullptr,
                                        nullptr,
                                        Finish<typename Planes::V>(args.activation)};
  size_t c = begin;
  for (; c + Planes::kPlanes <= args.channels; c += Planes::kPlanes) {
    channels.in = args.in + c * args.in_stride;
    channels.out = args.out + c * args.out_stride;
    channels.weight = args.weight + c * kKernel * kKernel;
    channels.bias = args.bias + c;
    DepthwisePlanes<Planes, kKernel, kStride>(channels);
    for (size_t i = 0; i < Planes::kPlanes; ++i)
      channels.finish.Curve(channels.out + i * args.out_stride,
                            channels.out_height * channels.out_width);
  }
  return c;
}

// Narrow outputs would leave half of a wide vector unused: `Halves` are wide vectors of two rows,
// `Narrow` serves what is left over.
template <class Wide, class Halves, class Narrow, size_t kKernel, size_t kStride>
inline void DepthwiseSized(const DepthwiseArgs& args) {
  if (OutSide(args.width, kStride) > Halves::kLanes) {
    DepthwiseRange<Wide, kKernel, kStride>(args, 0);
  } else {
    const size_t left = DepthwiseRange<Halves, kKernel, kStride>(args, 0);
    if constexpr (Halves::kPlanes > 1) DepthwiseRange<Narrow, kKernel, kStride>(args, left);
  }
}

template <class Wide, class Halves, class Narrow>
inline void DepthwiseAny(const DepthwiseArgs& args) {
  const bool twice = args.stride == 2;
  switch (args.kernel) {
    case 3:
      return twice ? DepthwiseSized<Wide, Halves, Narrow, 3, 2>(args)
                   : DepthwiseSized<Wide, Halves, Narrow, 3, 1>(args);
    case 5:
      return twice ? DepthwiseSized<Wide, Halves, Narrow, 5, 2>(args)
                   : DepthwiseSized<Wide, Halves, Narrow, 5, 1>(args);
    default:
      return twice ? DepthwiseSized<Wide, Halves, Narrow, 7, 2>(args)
                   : DepthwiseSized<Wide, Halves, Narrow, 7, 1>(args);
  }
}

// For instruction sets whose vectors are short as they are.
template <class V>
inline void Depthwise(const DepthwiseArgs& args) {
  DepthwiseAny<OnePlane<V>, OnePlane<V>, OnePlane<V>>(args);
}

}  // namespace
}  // namespace sparsenas
