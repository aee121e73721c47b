// The loop of addition, over a vector type.
#pragma once

#include "kernels/add/add.h"
#include "kernels/finish.h"

namespace sparsenas {
namespace {

template <class V>
inline void Add(const AddArgs& args) {
  const Finish<V> finish(args.activation);
  for (size_t c = 0; c < args.channels; ++c) {
    const float* a = args.a + c * args.a_stride;
    const float* b = args.b + c * args.b_stride;
    float* out = args.out + c * args.out_stride;
    // The last vector may reach into the padding of the plane.
    for (size_t p = 0; p < args.pixels; p += V::kLanes)
      finish.Clamp(V::Add(V::Load(a + p), V::Load(b + p))).Store(out + p);
    finish.Curve(out, args.pixels);
  }
}

}  // namespace
}  // namespace sparsenas
