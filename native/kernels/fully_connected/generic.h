// The loops of the fully connected layer, over a vector type. Both follow one stream of weights,
// each used once: memory decides their speed, and sparse weights gain by being fewer.
#pragma once

#include "kernels/finish.h"
#include "kernels/fully_connected/fully_connected.h"

namespace sparsenas {
namespace {

// A group of outputs at a time, in kVectors vectors. Multiply-adds take 4 cycles and two start in
// each: with fewer than 8 vectors several input channels go at once, each with sums of its own.
template <class V>
inline void FullyConnectedDense(const FullyConnectedDenseArgs& args) {
  constexpr size_t kVectors = kFullyConnectedGroup / V::kLanes;
  constexpr size_t kChains = kVectors < 8 ? 8 / kVectors : 1;
  const Finish<V> finish(args.activation);
  const float* weight = args.weight;
  for (size_t d = 0; d < args.out_channels; d += kFullyConnectedGroup) {
    V sum[kChains][kVectors];
#pragma GCC unroll 16
    for (size_t u = 0; u < kVectors; ++u) {
      sum[0][u] = V::Load(args.bias + d + u * V::kLanes);
#pragma GCC unroll 8
      for (size_t chain = 1; chain < kChains; ++chain) sum[chain][u] = V::Set(0.0f);
    }
    const auto multiply_add = [&](size_t c, size_t chain) {
      const V x = V::Set(args.in[c]);
#pragma GCC unroll 16
      for (size_t u = 0; u < kVectors; ++u)
        sum[chain][u] = V::MulAdd(V::Load(weight + u * V::kLanes), x, sum[chain][u]);
      weight += kFullyConnectedGroup;
    };
    size_t c = 0;
    for (; c + kChains <= args.in_channels; c += kChains) {
#pragma GCC unroll 8
      for (size_t chain = 0; chain < kChains; ++chain) multiply_add(c + chain, chain);
    }
    for (; c < args.in_channels; ++c) multiply_add(c, 0);

#pragma GCC unroll 16
    for (size_t u = 0; u < kVectors; ++u) {
      V total = sum[0][u];
#pragma GCC unroll 8
      for (size_t chain = 1; chain < kChains; ++chain) total = V::Add(total, sum[chain][u]);
      total = finish(total);
      const size_t first = d + u * V::kLanes;
      if (first + V::kLanes <= args.out_channels) {
        total.Store(args.out + first);
      } else if (first < args.out_channels) {
        total.Store(args.out + first, V::First(args.out_channels - first));
      }
    }
  }
}

// A row at a time; the inputs of its nonzeros are gathered.
template <class V>
inline void FullyConnectedUnstructured(const FullyConnectedUnstructuredArgs& args) {
  const Finish<V> finish(args.activation);
  const uint32_t* column = args.column;
  const float* value = args.value;
  for (size_t d = 0; d < args.out_channels; ++d) {
    size_t count = args.counts[d];
    V sum[2] = {V::Set(0.0f), V::Set(0.0f)};
    for (; count >= 2 * V::kLanes; count -= 2 * V::kLanes) {
      for (size_t i = 0; i < 2; ++i) {
        sum[i] = V::MulAdd(V::Gather(args.in, column), V::Load(value), sum[i]);
        column += V::kLanes;
        value += V::kLanes;
      }
    }
    float total = args.bias[d] + V::Sum(V::Add(sum[0], sum[1]));
    for (; count > 0; --count) total += args.in[*column++] * *value++;
    finish(V::Set(total)).Store(args.out + d, V::First(1));
  }
}

}  // namespace
}  // namespace sparsenas
