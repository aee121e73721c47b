// Four floats in a register of AVX2 or AVX-512, for what is too narrow for a whole one. The members
// are described in scalar.h.
#pragma once

#include <immintrin.h>

#include <cstddef>

namespace sparsenas {
namespace {

struct F32x4 {
  static constexpr size_t kLanes = 4;

  __m128 v;

  static F32x4 Set(float x) { return {_mm_set1_ps(x)}; }
  static F32x4 Load(const float* p) { return {_mm_loadu_ps(p)}; }
  void Store(float* p) const { _mm_storeu_ps(p, v); }

  // a, a, b, b.
  static F32x4 SetPairs(float a, float b) { return {_mm_setr_ps(a, a, b, b)}; }
  // a[0], a[1], b[0], b[1].
  static F32x4 LoadPairs(const float* a, const float* b) {
    const __m128 low = _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(a)));
    return {_mm_loadh_pi(low, reinterpret_cast<const __m64*>(b))};
  }

  static F32x4 MulAdd(F32x4 a, F32x4 b, F32x4 c) { return {_mm_fmadd_ps(a.v, b.v, c.v)}; }
};

}  // namespace
}  // namespace sparsenas
