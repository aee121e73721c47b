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

// One row of the input; what is written beyond its end is zero, and written again or padding.
template <class V>
inline void PadRow(const float* in, size_t width, float* out) {
  size_t x = 0;
  for (; x + V::kLanes <= width; x += V::kLanes) V::Load(in + x).Store(out + x);
  V::Load(in + x, V::First(width - x)).Store(out + x);
}

template <class V>
inline V LoadUntil(const float* in, size_t width, size_t x) {
  if (x + V::kLanes <= width) return V::Load(in + x);
  return V::Load(in + x, V::First(width > x ? width - x : 0));
}

// The same into even and odd columns.
template <class V>
inline void SplitRow(const float* in, size_t width, float* even, float* odd) {
  for (size_t x = 0; 2 * x <= width + 1; x += V::kLanes) {
    const V low = LoadUntil<V>(in, width, 2 * x);
    const V high = LoadUntil<V>(in, width, 2 * x + V::kLanes);
    V::Even(low, high).Store(even + x);
    V::Odd(low, high).Store(odd + x);
  }
}

inline void Zero(float* out, size_t size) {
  for (size_t i = 0; i < size; ++i) out[i] = 0.0f;
}

template <class V>
inline void Pad(const ConvInput& input, const ConvPatternPadded& padded, float* out) {
  for (size_t c = 0; c < input.channels; ++c) {
    const float* in = input.data + c * input.plane;
    float* planes = out + c * padded.planes * padded.plane;
    for (size_t i = 0; i < padded.planes; ++i) Zero(planes + i * padded.plane, padded.first);
    float* row = planes + padded.first;
    for (size_t y = 0; y < input.height; ++y, in += input.width) {
      if (padded.planes == 1) {
        PadRow<V>(in, input.width, row + y * padded.pitch);
      } else {
        float* even = row + (y & 1) * 2 * padded.plane + y / 2 * padded.pitch;
        SplitRow<V>(in, input.width, even, even + padded.plane);
      }
    }
    // Below the last row, which is a row higher where odd rows are fewer.
    const size_t end = padded.first + padded.height * padded.pitch - 1;
    for (size_t i = 0; i < padded.planes; ++i) {
      const size_t missing = i >= 2 && input.height % 2 == 1 ? padded.pitch : 0;
      Zero(planes + i * padded.plane + end - missing, padded.plane - end + missing);
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

  // Writes the pixels of a tile from place q on, row by row of the output. What a vector writes
  // beyond its row or tile belongs to a later one, or to the padding.
  static void Store(const ConvPatternArgs& args, const ConvPatternPadded& padded, const float* sums,
                    size_t q, float* out) {
    const Finish<V> finish(args.activation);
    for (size_t y = q / padded.pitch; y < padded.height && y * padded.pitch < q + kWidth; ++y) {
      const size_t row = y * padded.pitch;
      size_t x = q > row ? q - row : 0;
      const size_t end = q + kWidth - row < padded.width ? q + kWidth - row : padded.width;
      for (; x < end; x += V::kLanes) {
        const V result = finish(V::Load(sums + row + x - q));
        const size_t p = y * padded.width + x;
        if (p + V::kLanes <= args.out_stride) {
          result.Store(out + p);
        } else {
          result.Store(out + p, V::First(end - x));
        }
      }
    }
  }

  static void Run(const ConvPatternArgs& args, const ConvPatternPadded& padded, const float* in,
                  float* sums, size_t q) {
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
        Store(args, padded, sums + i * kWidth, q, args.out + (d + i) * args.out_stride);
    }
  }
};

template <class V>
void ConvPattern(const ConvPatternArgs& args) {
  constexpr size_t kMost = ConvPatternVectors(V::kRegisters);
  const ConvPatternPadded padded(args.in.height, args.in.width, args.in.stride);
  float* sums = args.scratch;
  float* in = sums + args.out_channels * kConvPatternWidest + kStrideFloats;
  Pad<V>(args.in, padded, in);
  const size_t vectors = (padded.places() + V::kLanes - 1) / V::kLanes;
  const size_t tiles = TileCount(vectors, kMost);
  for (size_t tile = 0; tile < tiles; ++tile) {
    const size_t begin = TileStart(vectors, tiles, tile);
    const size_t q = begin * V::kLanes;
    switch (TileStart(vectors, tiles, tile + 1) - begin) {
      case 1:
        PatternTile<V, 1>::Run(args, padded, in, sums, q);
        break;
      case 2:
        PatternTile<V, 2>::Run(args, padded, in, sums, q);
        break;
      case 3:
        if constexpr (kMost >= 3) PatternTile<V, 3>::Run(args, padded, in, sums, q);
        break;
      default:
        if constexpr (kMost >= 4) PatternTile<V, 4>::Run(args, padded, in, sums, q);
        break;
    }
  }
}

}  // namespace
}  // namespace sparsenas
