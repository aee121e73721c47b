// The kernels of a tile where there are registers enough: all nine taps of an input channel are
// loaded into registers and stay there for all its kernels. Which four of them a kernel takes is
// part of the code, once for every pattern; the kernels of one pattern follow each other.
#pragma once

#include "kernels/conv_pattern/conv_pattern.h"
#include "kernels/conv_pattern/padded.h"

namespace sparsenas {
namespace {

template <class V, size_t kVectors>
class NineTaps {
 public:
  NineTaps(const ConvPatternArgs& args, const ConvPatternPadded& padded)
      : group_(args.groups), kernel_(args.kernels), beside_(padded.planes == 1) {
    for (size_t tap = 0; tap < kConvTaps; ++tap) tap_[tap] = padded.Tap(tap);
  }

  // The kernels of a run, which is an input channel; `in` is the tile's first place in channel 0.
  void AddRun(const ConvPatternRun& run, const char* in, float* sums) {
    const ConvPatternGroup* group = group_;  // In registers.
    const ConvPatternKernel* kernel = kernel_;
    V x[kConvTaps][kVectors];
    LoadTaps(reinterpret_cast<const float*>(in + run.channel), x);
#pragma GCC unroll 1
    for (size_t groups = run.groups; groups > 0; --groups, ++group) {
      switch (group->pattern) {
#define SPARSENAS_PATTERN(i)                                 \
  case i:                                                    \
    kernel = AddKernels<i>(x, kernel, group->kernels, sums); \
    break;
#define SPARSENAS_EIGHT_PATTERNS(i) \
  SPARSENAS_PATTERN(i)              \
  SPARSENAS_PATTERN(i + 1)          \
  SPARSENAS_PATTERN(i + 2)          \
  SPARSENAS_PATTERN(i + 3)          \
  SPARSENAS_PATTERN(i + 4)          \
  SPARSENAS_PATTERN(i + 5) SPARSENAS_PATTERN(i + 6) SPARSENAS_PATTERN(i + 7)
        SPARSENAS_EIGHT_PATTERNS(0)
        SPARSENAS_EIGHT_PATTERNS(8)
        SPARSENAS_EIGHT_PATTERNS(16)
        SPARSENAS_EIGHT_PATTERNS(24)
        SPARSENAS_EIGHT_PATTERNS(32)
        SPARSENAS_EIGHT_PATTERNS(40)
        SPARSENAS_EIGHT_PATTERNS(48)
#undef SPARSENAS_EIGHT_PATTERNS
#undef SPARSENAS_PATTERN
        default:
          __builtin_unreachable();
      }
    }
    group_ = group;
    kernel_ = kernel;
  }

 private:
  static constexpr size_t kWidth = kVectors * V::kLanes;

  void LoadTaps(const float* in, V (&x)[kConvTaps][kVectors]) const {
    // A load of a whole cache line that does not start one takes as long as two: with stride 1,
    // taps to the left and right come from the ones between them.
    if (V::kLanes == kStrideFloats && beside_) {
#pragma GCC unroll 3
      for (size_t tap = 1; tap < kConvTaps; tap += 3) {
        V beside[kVectors + 2];
#pragma GCC unroll 6
        for (size_t u = 0; u < kVectors + 2; ++u)
          beside[u] = V::Load(in + tap_[tap] + u * V::kLanes - V::kLanes);
#pragma GCC unroll 4
        for (size_t u = 0; u < kVectors; ++u) {
          x[tap - 1][u] = V::ShiftUp(beside[u + 1], beside[u]);
          x[tap][u] = beside[u + 1];
          x[tap + 1][u] = V::ShiftDown(beside[u + 1], beside[u + 2]);
        }
      }
    } else {
#pragma GCC unroll 9
      for (size_t tap = 0; tap < kConvTaps; ++tap) {
#pragma GCC unroll 4
        for (size_t u = 0; u < kVectors; ++u) x[tap][u] = V::Load(in + tap_[tap] + u * V::kLanes);
      }
    }
#pragma GCC unroll 9
    for (size_t tap = 0; tap < kConvTaps; ++tap) {
#pragma GCC unroll 4
      for (size_t u = 0; u < kVectors; ++u) x[tap][u] = V::InRegister(x[tap][u]);
    }
  }

  // Adds the kernels of one pattern; returns the one after them.
  template <size_t kPattern>
  [[gnu::always_inline]] static inline const ConvPatternKernel* AddKernels(
      const V (&x)[kConvTaps][kVectors], const ConvPatternKernel* kernel, size_t kernels,
      float* sums) {
    constexpr uint32_t kBits = ConvPatternBits(kPattern);
#pragma GCC unroll 1
    for (; kernels > 0; --kernels, ++kernel) {
      float* row = sums + kernel->row * kWidth;
      V sum[kVectors];
#pragma GCC unroll 4
      for (size_t u = 0; u < kVectors; ++u) sum[u] = V::Load(row + u * V::kLanes);
      AddTaps<kBits>(x, V::LoadFour(kernel->weight), sum);
#pragma GCC unroll 4
      for (size_t u = 0; u < kVectors; ++u) sum[u].Store(row + u * V::kLanes);
    }
    return kernel;
  }

  template <uint32_t kBits, size_t kTap = 0, int kWeight = 0>
  [[gnu::always_inline]] static inline void AddTaps(const V (&x)[kConvTaps][kVectors],
                                                    typename V::Four weight, V (&sum)[kVectors]) {
    if constexpr (kTap < kConvTaps) {
      constexpr bool kTaken = (kBits >> kTap & 1) == 1;
      if constexpr (kTaken) {
        const V w = V::template Spread<kWeight>(weight);
#pragma GCC unroll 4
        for (size_t u = 0; u < kVectors; ++u) sum[u] = V::MulAdd(x[kTap][u], w, sum[u]);
      }
      AddTaps<kBits, kTap + 1, kWeight + kTaken>(x, weight, sum);
    }
  }

  const ConvPatternGroup* group_;
  const ConvPatternKernel* kernel_;
  size_t tap_[kConvTaps];
  bool beside_;  // Whether the taps of a row are beside each other.
};

}  // namespace
}  // namespace sparsenas
