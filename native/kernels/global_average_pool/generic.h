// The loop of the global average pool, over a vector type.
#pragma once

#include "kernels/finish.h"
#include "kernels/global_average_pool/global_average_pool.h"

namespace sparsenas {
namespace {

template <class V>
inline void GlobalAveragePool(const GlobalAveragePoolArgs& args) {
  // Additions take several cycles and two start in each. Four sums also halve the rounding error
  // twice.
  constexpr size_t kSums = 4;
  const Finish<V> finish(args.activation);
  const float scale = 1.0f / static_cast<float>(args.pixels);
  for (size_t c = 0; c < args.channels; ++c) {
    const float* in = args.in + c * args.in_stride;
    V sum[kSums] = {V::Set(0.0f), V::Set(0.0f), V::Set(0.0f), V::Set(0.0f)};
    size_t p = 0;
    for (; p + kSums * V::kLanes <= args.pixels; p += kSums * V::kLanes) {
      for (size_t i = 0; i < kSums; ++i) sum[i] = V::Add(sum[i], V::Load(in + p + i * V::kLanes));
    }
    for (; p + V::kLanes <= args.pixels; p += V::kLanes) sum[0] = V::Add(sum[0], V::Load(in + p));
    // The padding must stay out.
    sum[1] = V::Add(sum[1], V::Load(in + p, V::First(args.pixels - p)));
    const V total = V::Add(V::Add(sum[0], sum[1]), V::Add(sum[2], sum[3]));
    finish(V::Set(V::Sum(total) * scale)).Store(args.out + c * args.out_stride, V::First(1));
  }
}

}  // namespace
}  // namespace sparsenas
