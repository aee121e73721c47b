// The loop of pattern convolution, over a vector type.
//
// For a tile of places of the output, the sums of a block of output channels lie in the level 1
// cache. Taps are loaded into registers and stay there for as many kernels as there are that take
// them; how many taps at a time depends on the registers. (A panel as other convolutions have it
// would save loads across cache lines, but filling it takes longer than that.)
#pragma once

#include <type_traits>

#include "kernels/conv_pattern/conv_pattern.h"
#include "kernels/conv_pattern/four_taps.h"
#include "kernels/conv_pattern/nine_taps.h"
#include "kernels/conv_pattern/pad.h"
#include "kernels/conv_pattern/padded.h"
#include "kernels/finish.h"
#include "kernels/tiles.h"

namespace sparsenas {
namespace {

// On AVX-512, nine taps are 1.1 to 1.2 times as fast as four; with 16 registers they would leave
// room for a single vector of each, which takes twice as long as two vectors of four.
template <class V, size_t kVectors>
using PatternKernels = std::conditional_t<ConvPatternHoldsNine(V::kRegisters),
                                          NineTaps<V, kVectors>, FourTaps<V, kVectors>>;

struct PatternStrip {
  size_t rows;      // Of the output.
  const float* in;  // Padded.
  float* out;       // Its first pixel in the first output channel.
  size_t out_end;   // Pixels from there on belong to others.
};

template <class V, size_t kVectors>
struct PatternTile {
  static constexpr size_t kWidth = kVectors * V::kLanes;  // Floats of a row of sums.

  // Where the rows of the strip's output in a tile are.
  struct Segments {
    struct {
      size_t sum, out, size;
    } segment[kWidth / 2 + 2];
    size_t count = 0;

    Segments(const ConvPatternPadded& padded, size_t rows, size_t q) {
      for (size_t y = q / padded.pitch; y < rows && y * padded.pitch < q + kWidth; ++y) {
        const size_t row = y * padded.pitch, x = q > row ? q - row : 0;
        const size_t end = Least(q + kWidth - row, padded.width);
        if (x < end) segment[count++] = {row + x - q, y * padded.width + x, end - x};
      }
    }
  };

  // Writes the pixels of the rows of sums. What a vector writes beyond its row or tile belongs to a
  // later one; only pixels before `out_end` are the caller's.
  static void Store(const Finish<V>& finish, const Segments& segments, const float* sums,
                    size_t rows, float* out, size_t out_stride, size_t out_end) {
    for (size_t i = 0; i < segments.count; ++i) {
      const auto [sum, begin, size] = segments.segment[i];
      for (size_t x = 0; x < size; x += V::kLanes) {
        const float* from = sums + sum + x;
        float* to = out + begin + x;
        if (begin + x + V::kLanes <= out_end) {
          for (size_t row = rows; row > 0; --row, from += kWidth, to += out_stride)
            finish(V::Load(from)).Store(to);
        } else {
          const typename V::Lanes lanes = V::First(size - x);
          for (size_t row = rows; row > 0; --row, from += kWidth, to += out_stride)
            finish(V::Load(from)).Store(to, lanes);
        }
      }
    }
  }

  static void Run(const ConvPatternArgs& args, const ConvPatternPadded& padded,
                  const PatternStrip& strip, size_t q) {
    const Finish<V> finish(args.activation);
    const Segments segments(padded, strip.rows, q);
    float* sums = args.scratch;
    PatternKernels<V, kVectors> kernels(args, padded);
    const ConvPatternRun* run = args.runs;
    for (size_t d = 0, block = 0; d < args.out_channels; d += args.block, ++block) {
      const size_t rows = Least(args.out_channels - d, args.block);
      for (size_t i = 0; i < rows; ++i) {
        const V bias = V::Set(args.bias[d + i]);
#pragma GCC unroll 4
        for (size_t u = 0; u < kVectors; ++u) bias.Store(sums + i * kWidth + u * V::kLanes);
      }
      for (size_t runs = args.runs_of[block]; runs > 0; --runs)
        kernels.AddRun(*run++, reinterpret_cast<const char*>(strip.in + q), sums);
      // So many rows at a time stay in the cache until all their segments are written.
      constexpr size_t kRows = 16;
      for (size_t i = 0; i < rows; i += kRows) {
        Store(finish, segments, sums + i * kWidth, Least(rows - i, kRows),
              strip.out + (d + i) * args.out_stride, args.out_stride, strip.out_end);
      }
    }
  }
};

template <class V>
void ConvPatternStrip(const ConvPatternArgs& args, const ConvPatternPadded& padded,
                      const PatternStrip& strip) {
  constexpr size_t kMost = ConvPatternVectors(V::kRegisters);
  const size_t vectors = (padded.Places(strip.rows) + V::kLanes - 1) / V::kLanes;
  const size_t tiles = TileCount(vectors, kMost);
  for (size_t tile = 0; tile < tiles; ++tile) {
    const size_t begin = TileStart(vectors, tiles, tile), q = begin * V::kLanes;
    switch (TileStart(vectors, tiles, tile + 1) - begin) {
      case 1:
        // Where tiles have up to three, there is no other vector then, and four places are too few
        // for code of their own.
        if constexpr (V::kLanes > 4 || kMost < 3) {
          PatternTile<V, 1>::Run(args, padded, strip, q);
          break;
        }
        [[fallthrough]];
      case 2:
        PatternTile<V, 2>::Run(args, padded, strip, q);
        break;
      default:
        if constexpr (kMost >= 3) PatternTile<V, 3>::Run(args, padded, strip, q);
        break;
    }
  }
}

template <class V>
void ConvPattern(const ConvPatternArgs& args) {
  const ConvPatternPadded padded(args.in.width, args.in.stride, args.strip);
  float* in = args.scratch + args.out_channels * kConvPatternWidest + kStrideFloats;
  const size_t height = OutSide(args.in.height, args.in.stride);
  const size_t first = TileStart(height, args.shares, args.share);
  const size_t rows = TileStart(height, args.shares, args.share + 1) - first;
  const size_t strips = TileCount(rows, args.strip);
  for (size_t i = 0; i < strips; ++i) {
    const size_t begin = first + TileStart(rows, strips, i);
    const size_t end = first + TileStart(rows, strips, i + 1);
    Pad<V>(args.in, padded, begin, end - begin, in);
    // The last tile of all may write into the padding.
    const size_t pixels = end == height ? args.out_stride : end * padded.width;
    const size_t before = begin * padded.width;
    ConvPatternStrip<V>(args, padded, {end - begin, in, args.out + before, pixels - before});
  }
}

}  // namespace
}  // namespace sparsenas
