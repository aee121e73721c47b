// The kernels of a tile where registers are few: kernels come in groups of one input channel and
// one pattern, whose four taps are loaded into registers and stay there for all of them.
#pragma once

#include "kernels/conv_pattern/conv_pattern.h"
#include "kernels/conv_pattern/padded.h"

namespace sparsenas {
namespace {

// The groups and kernels of all blocks, one after the other. Where something is in memory is loaded
// before it is needed, from the next group and the kernel after next: the core would take a later
// load of that only after all loads of pixels and sums already waiting, and then stand still until
// it has it.
class PatternStream {
 public:
  explicit PatternStream(const ConvPatternArgs& args)
      : group_(args.fours), kernel_(args.kernels), row_(kernel_[0].row), next_row_(kernel_[1].row) {
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
    __builtin_memcpy(&offsets01_, group_->tap, sizeof offsets01_);
    __builtin_memcpy(&offsets23_, group_->tap + 2, sizeof offsets23_);
    kernels_ = group_->kernels;
  }

  const ConvPatternFour* group_;
  const ConvPatternKernel* kernel_;
  uint64_t offsets01_, offsets23_;
  size_t kernels_, row_, next_row_;
};

template <class V, size_t kVectors>
class FourTaps {
 public:
  FourTaps(const ConvPatternArgs& args, const ConvPatternPadded&) : stream_(args) {}

  // Not inlined: among what its caller keeps in registers, the loop takes a fifth longer.
  // The kernels of a run; `in` is the tile's first place in channel 0.
  [[gnu::noinline]] void AddRun(const ConvPatternRun& run, const char* in, float* sums) {
    PatternStream stream = stream_;  // In registers.
#pragma GCC unroll 1
    for (size_t groups = run.groups; groups > 0; --groups) {
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
    stream_ = stream;
  }

 private:
  static constexpr size_t kWidth = kVectors * V::kLanes;

  PatternStream stream_;
};

}  // namespace
}  // namespace sparsenas
