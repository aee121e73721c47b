// The loops of batch normalisation, over a vector type: a vector is some channels of a pixel.
#pragma once

#include "primitives/primitives.h"

namespace sparsenas {
namespace {

// Pixels that are gone through with the sums of some channels in registers: so few that memory is
// read nearly in order.
constexpr size_t kPixelsAtOnce = 32;

// `kVectors` vectors of channels, or the channels that are left.
template <class V, size_t kVectors, bool kRest>
struct Channels {
  static_assert(!kRest || kVectors == 1, "what is left is less than a vector");
  typename V::Lanes rest;

  V Load(const float* p, size_t i) const {
    return kRest ? V::Load(p, rest) : V::Load(p + i * V::kLanes);
  }
  void Store(V x, float* p, size_t i) const {
    if (kRest) {
      x.Store(p, rest);
    } else {
      x.Store(p + i * V::kLanes);
    }
  }
  void Load(const float* p, V (&to)[kVectors]) const {
#pragma GCC unroll 4
    for (size_t i = 0; i < kVectors; ++i) to[i] = Load(p, i);
  }
  void Store(const V (&from)[kVectors], float* p) const {
#pragma GCC unroll 4
    for (size_t i = 0; i < kVectors; ++i) Store(from[i], p, i);
  }
  void LoadNegative(const float* p, V (&to)[kVectors]) const {
#pragma GCC unroll 4
    for (size_t i = 0; i < kVectors; ++i) to[i] = V::Mul(Load(p, i), V::Set(-1.0f));
  }
};

// Calls loop.Run<channels>(channels, first pixel, pixels, first channel) over all of [pixels, C],
// with as many vectors at a time as their numbers fit into registers.
template <class V, class Loop>
inline void ForPixels(size_t pixels, size_t channels, const Loop& loop) {
  constexpr size_t kMany = V::kRegisters / 8;
  for (size_t p = 0; p < pixels; p += kPixelsAtOnce) {
    const size_t count = pixels - p < kPixelsAtOnce ? pixels - p : kPixelsAtOnce;
    size_t c = 0;
    for (; c + kMany * V::kLanes <= channels; c += kMany * V::kLanes)
      loop.Run(Channels<V, kMany, false>{V::First(0)}, p, count, c);
    for (; c + V::kLanes <= channels; c += V::kLanes)
      loop.Run(Channels<V, 1, false>{V::First(0)}, p, count, c);
    if (c < channels) loop.Run(Channels<V, 1, true>{V::First(channels - c)}, p, count, c);
  }
}

template <class V>
struct SumsOf {
  const Primitives::Sums& args;

  template <size_t kVectors, bool kRest>
  void Run(Channels<V, kVectors, kRest> channels, size_t p, size_t count, size_t c) const {
    V centre[kVectors], first[kVectors], second[kVectors];
    channels.LoadNegative(args.centre + c, centre);
    channels.Load(args.first + c, first);
    channels.Load(args.second + c, second);
    const float* x = args.x + p * args.channels + c;
#pragma GCC unroll 1
    for (size_t n = 0; n < count; ++n, x += args.channels) {
#pragma GCC unroll 4
      for (size_t i = 0; i < kVectors; ++i) {
        const V off = V::Add(channels.Load(x, i), centre[i]);
        first[i] = V::Add(first[i], off);
        second[i] = V::MulAdd(off, off, second[i]);
      }
    }
    channels.Store(first, args.first + c);
    channels.Store(second, args.second + c);
  }
};

template <class V>
void SumsLoop(const Primitives::Sums& args) {
  ForPixels<V>(args.pixels, args.channels, SumsOf<V>{args});
}

template <class V>
struct NormalizeOf {
  const Primitives::Normalize& args;

  template <size_t kVectors, bool kRest>
  void Run(Channels<V, kVectors, kRest> channels, size_t p, size_t count, size_t c) const {
    V mean[kVectors], factor[kVectors], offset[kVectors];
    channels.LoadNegative(args.mean + c, mean);
    channels.Load(args.factor + c, factor);
    channels.Load(args.offset + c, offset);
    const V low = V::Set(args.low), high = V::Set(args.high);
    const float* x = args.x + p * args.channels + c;
    float* y = args.y + p * args.channels + c;
#pragma GCC unroll 1
    for (size_t n = 0; n < count; ++n, x += args.channels, y += args.channels) {
#pragma GCC unroll 4
      for (size_t i = 0; i < kVectors; ++i) {
        const V off = V::Add(channels.Load(x, i), mean[i]);
        channels.Store(V::Clamp(V::MulAdd(off, factor[i], offset[i]), low, high), y, i);
      }
    }
  }
};

template <class V>
void NormalizeLoop(const Primitives::Normalize& args) {
  ForPixels<V>(args.pixels, args.channels, NormalizeOf<V>{args});
}

// g where the output follows the input.
template <class V, bool kClamped>
struct Followed {
  V low, high;
  V operator()(V g, V off, V factor, V offset) const {
    return kClamped ? V::Inside(g, V::MulAdd(off, factor, offset), low, high) : g;
  }
};

template <class V, bool kClamped>
struct GradientSumsOf {
  const Primitives::Gradient& args;
  float *sum, *product;

  template <size_t kVectors, bool kRest>
  void Run(Channels<V, kVectors, kRest> channels, size_t p, size_t count, size_t c) const {
    V mean[kVectors], factor[kVectors], offset[kVectors], first[kVectors], second[kVectors];
    channels.LoadNegative(args.mean + c, mean);
    channels.Load(args.factor + c, factor);
    channels.Load(args.offset + c, offset);
    channels.Load(sum + c, first);
    channels.Load(product + c, second);
    const Followed<V, kClamped> followed = {V::Set(args.low), V::Set(args.high)};
    const float* x = args.x + p * args.channels + c;
    const float* g = args.g + p * args.channels + c;
#pragma GCC unroll 1
    for (size_t n = 0; n < count; ++n, x += args.channels, g += args.channels) {
#pragma GCC unroll 4
      for (size_t i = 0; i < kVectors; ++i) {
        const V off = V::Add(channels.Load(x, i), mean[i]);
        const V u = followed(channels.Load(g, i), off, factor[i], offset[i]);
        first[i] = V::Add(first[i], u);
        second[i] = V::MulAdd(u, off, second[i]);
      }
    }
    channels.Store(first, sum + c);
    channels.Store(second, product + c);
  }
};

template <class V>
void GradientSumsLoop(const Primitives::Gradient& args, float* first, float* second) {
  if (args.clamped) {
    ForPixels<V>(args.pixels, args.channels, GradientSumsOf<V, true>{args, first, second});
  } else {
    ForPixels<V>(args.pixels, args.channels, GradientSumsOf<V, false>{args, first, second});
  }
}

template <class V, bool kClamped>
struct GradientOf {
  const Primitives::Gradient& args;
  const float *slope, *shift;
  float* out;

  template <size_t kVectors, bool kRest>
  void Run(Channels<V, kVectors, kRest> channels, size_t p, size_t count, size_t c) const {
    V mean[kVectors], factor[kVectors], offset[kVectors], slopes[kVectors], shifts[kVectors];
    channels.LoadNegative(args.mean + c, mean);
    channels.Load(args.factor + c, factor);
    channels.Load(args.offset + c, offset);
    channels.Load(slope + c, slopes);
    channels.Load(shift + c, shifts);
    const Followed<V, kClamped> followed = {V::Set(args.low), V::Set(args.high)};
    const float* x = args.x + p * args.channels + c;
    const float* g = args.g + p * args.channels + c;
    float* gx = out + p * args.channels + c;
#pragma GCC unroll 1
    for (size_t n = 0; n < count; ++n, x += args.channels, g += args.channels) {
#pragma GCC unroll 4
      for (size_t i = 0; i < kVectors; ++i) {
        const V off = V::Add(channels.Load(x, i), mean[i]);
        const V u = followed(channels.Load(g, i), off, factor[i], offset[i]);
        channels.Store(V::MulAdd(u, factor[i], V::MulAdd(off, slopes[i], shifts[i])), gx, i);
      }
      gx += args.channels;
    }
  }
};

template <class V>
void GradientLoop(const Primitives::Gradient& args, const float* slope, const float* shift,
                  float* gx) {
  if (args.clamped) {
    ForPixels<V>(args.pixels, args.channels, GradientOf<V, true>{args, slope, shift, gx});
  } else {
    ForPixels<V>(args.pixels, args.channels, GradientOf<V, false>{args, slope, shift, gx});
  }
}

}  // namespace
}  // namespace sparsenas
