// Maximum pooling, over a vector type.
#pragma once

#include "kernels/max_pool/max_pool.h"
#include "kernels/pool_planes.h"

namespace sparsenas {
namespace {

template <class V>
struct Largest {
  static V Combine(V a, V b) { return V::Max(a, b); }
  static float Combine(float a, float b) { return a < b ? b : a; }
  static float Scale(size_t) { return 1.0f; }
};

template <class V>
inline void MaxPool(const PoolArgs& args) {
  Pool<V, Largest<V>>(args);
}

}  // namespace
}  // namespace sparsenas
