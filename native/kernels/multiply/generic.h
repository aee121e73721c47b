// The loop of multiplication, over a vector type.
#pragma once

#include "kernels/finish.h"
#include "kernels/multiply/multiply.h"

namespace sparsenas {
namespace {

template <class V>
inline void Multiply(const MultiplyArgs& args) {
  const Finish<V> finish(args.activation);
  for (size_t c = 0; c < args.channels; ++c) {
    const float* a = args.a + c * args.a_stride;
    const float* b = args.b + c * args.b_stride;
    float* out = args.out + c * args.out_stride;
    // The last vector may reach into the padding of the plane.
    if (args.b_pixels == 1) {
      const V factor = V::Set(*b);
      for (size_t p = 0; p < args.pixels; p += V::kLanes)
        finish.Clamp(V::Mul(V::Load(a + p), factor)).Store(out + p);
    } else {
      for (size_t p = 0; p < args.pixels; p += V::kLanes)
        finish.Clamp(V::Mul(V::Load(a + p), V::Load(b + p))).Store(out + p);
    }
    finish.Curve(out, args.pixels);
  }
}

}  // namespace
}  // namespace sparsenas
