// The loop of direct sparse convolution, over a vector type.
//
// A tile of up to kConvDirectVectors vectors of output pixels stays in registers for one output
// channel at a time; each nonzero loads its pixels from the panel. From part to part of the taps
// the sums wait in `out`.
#pragma once

#include "kernels/conv_direct/conv_direct.h"
#include "kernels/finish.h"
#include "kernels/tiles.h"

namespace sparsenas {
namespace {

// Sums of the same pixels. A multiply-add takes 4 cycles and two start in each, so that fewer than
// 8 sums leave the core waiting.
constexpr size_t DirectChains(size_t vectors) { return vectors <= 3 ? 4 : 2; }

// Four offsets as one number.
inline uint64_t Offsets(const ConvDirectNonzeros* four) {
  uint64_t offsets;
  __builtin_memcpy(&offsets, four->offset, sizeof offsets);
  return offsets;
}

// The nonzeros of a part, one four after the other. The offsets are loaded two fours before they
// are needed: the core would take a later load of them only after all loads of pixels already
// waiting, and then stand still until it has the offsets.
class DirectStream {
 public:
  explicit DirectStream(const ConvDirectNonzeros* nonzeros)
      : four_(nonzeros), offsets_(Offsets(nonzeros)), next_(Offsets(nonzeros + 1)) {}

  uint64_t offsets() const { return offsets_; }
  const float* values() const { return four_->value; }
  void Step() {
    offsets_ = next_;
    next_ = Offsets(four_ + kConvDirectAhead);
    ++four_;
  }

 private:
  const ConvDirectNonzeros* four_;
  uint64_t offsets_, next_;
};

template <class V, size_t kVectors>
struct DirectSums {
  static constexpr size_t kChains = DirectChains(kVectors);
  V sum[kChains][kVectors];

  // Adds nonzero i of the next four.
  template <int i>
  void MulAdd(const float* panel, uint64_t offsets, typename V::Four values) {
    const float* x = reinterpret_cast<const float*>(reinterpret_cast<const char*>(panel) +
                                                    (offsets >> 16 * i & 0xFFFF));
    const V w = V::template Spread<i>(values);
#pragma GCC unroll 16
    for (size_t u = 0; u < kVectors; ++u)
      sum[i % kChains][u] = V::MulAdd(V::Load(x + u * V::kLanes), w, sum[i % kChains][u]);
  }
};

// The rows of one part.
template <class V, size_t kVectors>
void DirectPart(const ConvDirectArgs& args, const float* panel, const ConvDirectRow* row,
                size_t rows, DirectStream& nonzeros, size_t p, bool first, bool last) {
  const Finish<V> finish(args.activation);
  DirectStream stream = nonzeros;
  for (const ConvDirectRow* end_row = row + rows; row != end_row; ++row) {
    float* out = args.out + row->channel * args.out_stride + p;
    DirectSums<V, kVectors> sums;
    const V bias = V::Set(args.bias[row->channel]);
#pragma GCC unroll 16
    for (size_t u = 0; u < kVectors; ++u)
      sums.sum[0][u] = first ? bias : V::Load(out + u * V::kLanes);
#pragma GCC unroll 4
    for (size_t chain = 1; chain < sums.kChains; ++chain) {
#pragma GCC unroll 16
      for (size_t u = 0; u < kVectors; ++u) sums.sum[chain][u] = V::Set(0.0f);
    }

    const size_t left = row->nonzeros % kConvDirectFour;
#pragma GCC unroll 1
    for (size_t fours = row->nonzeros / kConvDirectFour; fours > 0; --fours) {
      const uint64_t offsets = stream.offsets();
      const typename V::Four values = V::LoadFour(stream.values());
      stream.Step();
      sums.template MulAdd<0>(panel, offsets, values);
      sums.template MulAdd<1>(panel, offsets, values);
      sums.template MulAdd<2>(panel, offsets, values);
      sums.template MulAdd<3>(panel, offsets, values);
    }
    if (left > 0) {
      const uint64_t offsets = stream.offsets();
      const typename V::Four values = V::LoadFour(stream.values());
      stream.Step();
      sums.template MulAdd<0>(panel, offsets, values);
      if (left > 1) sums.template MulAdd<1>(panel, offsets, values);
      if (left > 2) sums.template MulAdd<2>(panel, offsets, values);
    }

#pragma GCC unroll 16
    for (size_t u = 0; u < kVectors; ++u) {
      V total = sums.sum[0][u];
#pragma GCC unroll 4
      for (size_t chain = 1; chain < sums.kChains; ++chain)
        total = V::Add(total, sums.sum[chain][u]);
      (last ? finish(total) : total).Store(out + u * V::kLanes);
    }
  }
  nonzeros = stream;
}

template <class V, size_t kVectors>
void DirectTile(const ConvDirectArgs& args, ConvPanel<V>& panel, size_t p) {
  const ConvTap* taps = args.taps;
  const ConvDirectRow* rows = args.rows;
  DirectStream nonzeros(args.nonzeros);
  panel.MoveTo(p, kVectors);
  for (size_t i = 0; i < args.parts; ++i) {
    panel.template Fill<kVectors>(taps, args.part[i].taps, args.pitch);
    DirectPart<V, kVectors>(args, panel.data(), rows, args.part[i].rows, nonzeros, p, i == 0,
                            i + 1 == args.parts);
    taps += args.part[i].taps;
    rows += args.part[i].rows;
  }
}

template <class V>
void ConvDirect(const ConvDirectArgs& args) {
  using Tile = void (*)(const ConvDirectArgs&, ConvPanel<V>&, size_t);
  static constexpr Tile kTiles[kConvDirectVectors] = {DirectTile<V, 1>, DirectTile<V, 2>,
                                                      DirectTile<V, 3>, DirectTile<V, 4>,
                                                      DirectTile<V, 5>, DirectTile<V, 6>};
  ConvPanel<V> panel(args.in, args.scratch);
  const size_t pixels =
      OutSide(args.in.height, args.in.stride) * OutSide(args.in.width, args.in.stride);
  // The last vector may reach into the padding of the plane.
  const size_t all = (pixels + V::kLanes - 1) / V::kLanes;
  const size_t first = TileStart(all, args.shares, args.share);
  const size_t vectors = TileStart(all, args.shares, args.share + 1) - first;
  const size_t most = args.pitch / V::kLanes;
  const size_t tiles = TileCount(vectors, most < kConvDirectVectors ? most : kConvDirectVectors);
  for (size_t tile = 0; tile < tiles; ++tile) {
    const size_t begin = TileStart(vectors, tiles, tile);
    const size_t size = TileStart(vectors, tiles, tile + 1) - begin;
    kTiles[size - 1](args, panel, (first + begin) * V::kLanes);
  }
}

}  // namespace
}  // namespace sparsenas
