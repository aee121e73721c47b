// The loops of the fully connected layer, over a vector type. They follow a stream of weights,
// each used once: memory decides their speed, and sparse weights gain by being fewer.
#pragma once

#include "kernels/finish.h"
#include "kernels/fully_connected/fully_connected.h"

namespace sparsenas {
namespace {

// Stores outputs from `first` on, as far as there are any.
template <class V>
inline void Store(V x, float* out, size_t first, size_t out_channels) {
  if (first + V::kLanes <= out_channels) {
    x.Store(out + first);
  } else if (first < out_channels) {
    x.Store(out + first, V::First(out_channels - first));
  }
}

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
      Store(finish(total), args.out, d + u * V::kLanes, args.out_channels);
    }
  }
}

// Stores the first n of a vector of finished outputs where `order` says.
template <class V>
inline void StoreInOrder(V x, float* out, const uint32_t* order, size_t n) {
  float finished[V::kLanes];
  x.Store(finished);
  for (size_t i = 0; i < V::kLanes && i < n; ++i) out[order[i]] = finished[i];
}

// A group of outputs at a time; only blocks of more rows than a vector has lanes take more of them.
template <class V, int kRows>
inline void FullyConnectedSparse(const FullyConnectedSparseArgs<kRows>& args) {
  constexpr size_t kGroup = FullyConnectedSparseGroup(V::kLanes, kRows);
  constexpr size_t kVectors = kGroup / V::kLanes;
  constexpr size_t kChains = 2;  // A step takes two cycles at least, a multiply-add four.
  const Finish<V> finish(args.activation);
  // Where there are fewer inputs than a lookup reads.
  float few[V::kTable];
  const float* in = args.in;
  if (kRows == 1 && args.in_channels < V::kTable) {
    for (size_t c = 0; c < V::kTable; ++c) few[c] = c < args.in_channels ? in[c] : 0.0f;
    in = few;
  }
  const uint32_t* window = args.window;
  const uint8_t* index = args.index;
  const float* value = args.value;
  const uint32_t* counts = args.counts;
  for (size_t d = 0; d < args.out_channels; d += kGroup) {
    V sum[kChains][kVectors];
    for (size_t u = 0; u < kVectors; ++u) {
      sum[0][u] = V::Load(args.bias + d + u * V::kLanes);
      for (size_t chain = 1; chain < kChains; ++chain) sum[chain][u] = V::Set(0.0f);
    }
    const auto step = [&](size_t chain) {
      const float* first = in + *window++;
      const V x = kRows == 1 ? V::Lookup(first, index) : V::LookupFour(first, index);
#pragma GCC unroll 4
      for (size_t u = 0; u < kVectors; ++u)
        sum[chain][u] = V::MulAdd(x, V::Load(value + u * V::kLanes), sum[chain][u]);
      index += kGroup / kRows;
      value += kGroup;
    };
    size_t steps = *counts++;
    for (; steps >= kChains; steps -= kChains) {
#pragma GCC unroll 2
      for (size_t chain = 0; chain < kChains; ++chain) step(chain);
    }
    for (; steps > 0; --steps) step(0);
    for (size_t u = 0; u < kVectors; ++u) {
      V total = sum[0][u];
      for (size_t chain = 1; chain < kChains; ++chain) total = V::Add(total, sum[chain][u]);
      const size_t done = d + u * V::kLanes;
      if (done < args.out_channels)
        StoreInOrder(finish(total), args.out, args.order + done, args.out_channels - done);
    }
  }
}

// A group of outputs at a time, in kVectors vectors. The two weights of four columns have sums of
// their own, and where there are few vectors those of the next four too.
template <class V>
inline void FullyConnectedTwoOfFour(const FullyConnectedTwoOfFourArgs& args) {
  constexpr size_t kVectors = kFullyConnectedGroup / V::kLanes;
  constexpr size_t kChains = kVectors == 1 ? 4 : 2;
  const Finish<V> finish(args.activation);
  const size_t whole = args.in_channels / 4, rest = args.in_channels % 4;
  float last[4] = {};
  for (size_t c = 0; c < rest; ++c) last[c] = args.in[4 * whole + c];
  const float* value = args.value;
  const uint32_t* place = args.place;
  for (size_t d = 0; d < args.out_channels; d += kFullyConnectedGroup) {
    V sum[kChains][kVectors];
#pragma GCC unroll 16
    for (size_t u = 0; u < kVectors; ++u) {
      sum[0][u] = V::Load(args.bias + d + u * V::kLanes);
#pragma GCC unroll 4
      for (size_t chain = 1; chain < kChains; ++chain) sum[chain][u] = V::Set(0.0f);
    }
    const auto multiply_add = [&](const float* x, size_t quad, typename V::Places* places) {
      const typename V::Four four = V::LoadFour(x);
#pragma GCC unroll 2
      for (size_t i = 0; i < 2; ++i) {
        const size_t chain = (2 * quad + i) % kChains;
#pragma GCC unroll 16
        for (size_t u = 0; u < kVectors; ++u) {
          sum[chain][u] =
              V::MulAdd(V::Pick(four, places[u]), V::Load(value + u * V::kLanes), sum[chain][u]);
          places[u] = V::NextPlaces(places[u]);
        }
        value += kFullyConnectedGroup;
      }
    };
    for (size_t quad = 0; 4 * quad < args.in_channels; quad += kFullyConnectedQuads) {
      typename V::Places places[kVectors];
#pragma GCC unroll 16
      for (size_t u = 0; u < kVectors; ++u) places[u] = V::LoadPlaces(place + u * V::kLanes);
      place += kFullyConnectedGroup;
      const float* x = args.in + 4 * quad;
      if (quad + kFullyConnectedQuads <= whole) {
#pragma GCC unroll 8
        for (size_t i = 0; i < kFullyConnectedQuads; ++i) multiply_add(x + 4 * i, i, places);
      } else {
        for (size_t i = 0; i < whole - quad; ++i) multiply_add(x + 4 * i, 0, places);
        if (rest > 0) multiply_add(last, 0, places);
      }
    }

#pragma GCC unroll 16
    for (size_t u = 0; u < kVectors; ++u) {
      V total = sum[0][u];
#pragma GCC unroll 4
      for (size_t chain = 1; chain < kChains; ++chain) total = V::Add(total, sum[chain][u]);
      Store(finish(total), args.out, d + u * V::kLanes, args.out_channels);
    }
  }
}

}  // namespace
}  // namespace sparsenas
