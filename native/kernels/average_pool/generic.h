// Average pooling, over a vector type.
#pragma once

#include "kernels/average_pool/average_pool.h"
#include "kernels/pool_planes.h"

namespace sparsenas {
namespace {

template <class V>
struct Mean {
  static V Combine(V a, V b) { return V::Add(a, b); }
  static float Combine(float a, float b) { return a + b; }
  static float Scale(size_t pixels) { return 1.0f / static_cast<float>(pixels); }
};

template <class V>
inline void AveragePool(const PoolArgs& args) {
  Pool<V, Mean<V>>(args);
}

}  // namespace
}  // namespace sparsenas
