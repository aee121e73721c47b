// The loop of pattern convolution, over a vector type.
//
// For a tile of places of the output, the sums of a block of output channels lie in the level 1
// cache. Kernels come in groups of one input channel and one pattern: the group's four taps are
// loaded into registers and stay there for all its kernels. (A panel as other convolutions have it
// would save loads across cache lines, but filling it takes longer than that.)
#pragma once

#include "kernels/conv_pattern/conv_pattern.h"
#include "kernels/conv_pattern/padded.h"
#include "kernels/finish.h"
#include "kernels/tiles.h"

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

// The groups and kernels of all blocks, one after the other. Where something is in memory is loaded
// before it is needed, from the next group and the kernel after next: the core would take a later
// load of that only after all loads of pixels and sums already waiting, and then stand still until
// it has it.
class PatternStream {
 public:
  PatternStream(const ConvPatternGroup* group, const ConvPatternKernel* kernel)
      : group_(group), kernel_(kernel), row_(kernel[0].row), next_row_(kernel[1].row) {
    LoadGroup();
  }

  // Steps to the next group. Sets where its taps are, in bytes; returns how many kernels it has.
  size_t NextGroup(size_t (&offset)[kConvPatternTaps]) {
    offset[0] = offsets01_ & 0xFFFFFFFF;
    offset[1] = offsets01_ >> 32;
    offset[2] = offsets23_ & 0xFFFFFFFF;
    offset[3] = offsets23_ >> 32;
    const size_t kernels = kernels_;
    ++group_;
    LoadGroup();
    return kernels;
  }

  // Steps to the next kernel. Sets its output channel; returns its weights.
  const float* NextKernel(size_t* row) {
    const float* weight = kernel_->weight;
    *row = row_;
    row_ = next_row_;
    next_row_ = kernel_[kConvPatternAhead].row;
    ++kernel_;
    return weight;
  }

 private:
  void LoadGroup() {
    __builtin_memcpy(&offsets01_, group_->offset, sizeof offsets01_);
    __builtin_memcpy(&offsets23_, group_->offset + 2, sizeof offsets23_);
    kernels_ = group_->kernels;
  }

  const ConvPatternGroup* group_;
  const ConvPatternKernel* kernel_;
  uint64_t offsets01_, offsets23_;
  size_t kernels_, row_, next_row_;
};

template <class V, size_t kVectors>
struct PatternTile {
  static constexpr size_t kWidth = kVectors * V::kLanes;  // Floats of a row of sums.

  // The kernels of a block; `in` is the tile's first place in channel 0.
  static void AddGroups(PatternStream& groups_and_kernels, size_t groups, const char* in,
                        float* sums) {
    PatternStream stream = groups_and_kernels;  // In registers.
#pragma GCC unroll 1
    for (; groups > 0; --groups) {
      size_t offset[kConvPatternTaps];
      size_t kernels = stream.NextGroup(offset);
      V x[kConvPatternTaps][kVectors];
#pragma GCC unroll 4
      for (size_t i = 0; i < kConvPatternTaps; ++i) {
        const float* tap = reinterpret_cast<const float*>(in + offset[i]);
#pragma GCC unroll 4
        for (size_t u = 0; u < kVectors; ++u) x[i][u] = V::Load(tap + u * V::kLanes);
      }
#pragma GCC unroll 1
      for (; kernels > 0; --kernels) {
        size_t index;
        const typename V::Four weight = V::LoadFour(stream.NextKernel(&index));
        float* row = sums + index * kWidth;
        const V w[kConvPatternTaps] = {V::template Spread<0>(weight), V::template Spread<1>(weight),
                                       V::template Spread<2>(weight),
                                       V::template Spread<3>(weight)};
        V sum[kVectors];
#pragma GCC unroll 4
        for (size_t u = 0; u < kVectors; ++u) sum[u] = V::Load(row + u * V::kLanes);
#pragma GCC unroll 4
        for (size_t i = 0; i < kConvPatternTaps; ++i) {
#pragma GCC unroll 4
          for (size_t u = 0; u < kVectors; ++u) sum[u] = V::MulAdd(x[i][u], w[i], sum[u]);
        }
#pragma GCC unroll 4
        for (size_t u = 0; u < kVectors; ++u) sum[u].Store(row + u * V::kLanes);
      }
    }
    groups_and_kernels = stream;
  }

  // Where the rows of the output in a tile are.
  struct Segments {
    struct {
      size_t sum, out, size;
    } segment[kWidth / 2 + 2];
    size_t count = 0;

    Segments(const ConvPatternPadded& padded, size_t q) {
      for (size_t y = q / padded.pitch; y < padded.height && y * padded.pitch < q + kWidth; ++y) {
        const size_t row = y * padded.pitch, x = q > row ? q - row : 0;
        const size_t end = Least(q + kWidth - row, padded.width);
        if (x < end) segment[count++] = {row + x - q, y * padded.width + x, end - x};
      }
    }
  };

  // Writes the pixels of a row of sums. What a vector writes beyond its row or tile belongs to a
  // later one; only pixels before `out_end` are the caller's.
  static void Store(const Finish<V>& finish, const Segments& segments, const float* sums,
                    float* out, size_t out_end) {
    for (size_t i = 0; i < segments.count; ++i) {
      const auto [sum, begin, size] = segments.segment[i];
      for (size_t x = 0; x < size; x += V::kLanes) {
        const V result = finish(V::Load(sums + sum + x));
        const size_t p = begin + x;
        if (__builtin_expect(p + V::kLanes <= out_end, 1)) {
          result.Store(out + p);
        } else {
          result.Store(out + p, V::First(size - x));
        }
      }
    }
  }

  static void Run(const ConvPatternArgs& args, const ConvPatternPadded& padded, const float* in,
                  float* sums, size_t q, size_t out_end) {
    const Finish<V> finish(args.activation);
    const Segments segments(padded, q);
    PatternStream stream(args.groups, args.kernels);
    const uint32_t* groups_of = args.groups_of;
    for (size_t d = 0; d < args.out_channels; d += args.block) {
      const size_t rows = args.out_channels - d < args.block ? args.out_channels - d : args.block;
      for (size_t i = 0; i < rows; ++i) {
        const V bias = V::Set(args.bias[d + i]);
#pragma GCC unroll 4
        for (size_t u = 0; u < kVectors; ++u) bias.Store(sums + i * kWidth + u * V::kLanes);
      }
      AddGroups(stream, *groups_of++, reinterpret_cast<const char*>(in + q), sums);
      for (size_t i = 0; i < rows; ++i)
        Store(finish, segments, sums + i * kWidth, args.out + (d + i) * args.out_stride, out_end);
    }
  }
};

template <class V>
void ConvPattern(const ConvPatternArgs& args) {
  constexpr size_t kMost = ConvPatternVectors(V::kRegisters);
  const ConvPatternPadded padded(args.in.height, args.in.width, args.in.stride);
  float* sums = args.scratch;
  float* in = sums + args.out_channels * kConvPatternWidest + kStrideFloats;
  const size_t all = (padded.places() + V::kLanes - 1) / V::kLanes;
  const size_t first = TileStart(all, args.shares, args.share);
  const size_t vectors = TileStart(all, args.shares, args.share + 1) - first;
  if (vectors == 0) return;
  const size_t end = (first + vectors) * V::kLanes;
  Pad<V>(args.in, padded, first * V::kLanes / padded.pitch,
         Least((end - 1) / padded.pitch + 1, padded.height), in);
  // Pixels from there on belong to another share, or the last tile may write into the padding.
  const size_t out_end = args.share + 1 == args.shares ? args.out_stride : padded.Pixel(end);
  const size_t tiles = TileCount(vectors, kMost);
  for (size_t tile = 0; tile < tiles; ++tile) {
    const size_t begin = TileStart(vectors, tiles, tile);
    const size_t q = (first + begin) * V::kLanes;
    switch (TileStart(vectors, tiles, tile + 1) - begin) {
      case 1:
        PatternTile<V, 1>::Run(args, padded, in, sums, q, out_end);
        break;
      case 2:
        PatternTile<V, 2>::Run(args, padded, in, sums, q, out_end);
        break;
      case 3:
        if constexpr (kMost >= 3) PatternTile<V, 3>::Run(args, padded, in, sums, q, out_end);
        break;
      default:
        if constexpr (kMost >= 4) PatternTile<V, 4>::Run(args, padded, in, sums, q, out_end);
        break;
    }
  }
}

}  // namespace
}  // namespace sparsenas
