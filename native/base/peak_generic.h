// The loop of base/peak.h, over a vector type.
#pragma once

#include <cstddef>

namespace sparsenas {
namespace {

// Independent chains of multiply-adds: latency 4 or 5 x 2 ports, and no more than 16 registers.
constexpr size_t kPeakChains = 12;

// Does kPeakChains * kLanes * n multiply-adds. `x` and `y` only keep the compiler from knowing the
// result, which it returns so that it is used.
template <class V>
inline float MultiplyAdd(size_t n, float x, float y) {
  const V factor = V::Set(x), term = V::Set(y);
  V sum[kPeakChains];
#pragma GCC unroll 16
  for (size_t i = 0; i < kPeakChains; ++i) sum[i] = V::Set(static_cast<float>(i));
#pragma GCC unroll 1
  for (size_t j = 0; j < n; ++j) {
#pragma GCC unroll 16
    for (size_t i = 0; i < kPeakChains; ++i) sum[i] = V::MulAdd(sum[i], factor, term);
  }
#pragma GCC unroll 16
  for (size_t i = 1; i < kPeakChains; ++i) sum[0] = V::Add(sum[0], sum[i]);
  return V::Sum(sum[0]);
}

}  // namespace
}  // namespace sparsenas
