#include "base/simd/x86_avx512.h"
#include "base/simd/x86_avx2.h"
#include "kernels/depthwise/generic.h"

namespace sparsenas {
namespace {

// A vector is a row of up to eight pixels of one plane and the same row of the next plane.
struct TwoPlanes {
  using V = F32x16;
  static constexpr size_t kPlanes = 2;
  static constexpr size_t kLanes = 8;

  struct Lanes {
    __mmask8 mask;  // Of either row.
  };
  static Lanes First(size_t n) { return {static_cast<__mmask8>((1u << n) - 1)}; }

  static V Set(const float* x, size_t plane) {
    return {_mm512_mask_mov_ps(_mm512_set1_ps(x[0]), 0xFF00, _mm512_set1_ps(x[plane]))};
  }
  static V Load(const float* p, size_t plane) {
    return Both(_mm256_loadu_ps(p), _mm256_loadu_ps(p + plane));
  }
  static V Load(const float* p, size_t plane, Lanes lanes) {
    return Both(_mm256_maskz_loadu_ps(lanes.mask, p), _mm256_maskz_loadu_ps(lanes.mask, p + plane));
  }
  static void Store(V x, float* p, size_t plane) {
    _mm256_storeu_ps(p, _mm512_castps512_ps256(x.v));
    _mm256_storeu_ps(p + plane, _mm512_extractf32x8_ps(x.v, 1));
  }
  static void Store(V x, float* p, size_t plane, Lanes lanes) {
    _mm256_mask_storeu_ps(p, lanes.mask, _mm512_castps512_ps256(x.v));
    // Not as extracted and stored: compilers make one vextractf32x8 of that, which touches memory
    // where its mask is zero, too.
    _mm512_mask_storeu_ps(p + plane - 8, static_cast<__mmask16>(lanes.mask << 8), x.v);
  }

  static void LoadEvenOdd(const float* p, size_t plane, V* even, V* odd) {
    EvenOdd(V::Load(p), V::Load(p + plane), even, odd);
  }
  static void LoadEvenOdd(const float* p, size_t plane, Lanes lanes, Lanes lanes2, V* even,
                          V* odd) {
    const V::Lanes both = {static_cast<__mmask16>(lanes.mask | lanes2.mask << 8)};
    EvenOdd(V::Load(p, both), V::Load(p + plane, both), even, odd);
  }

  static V ShiftUp(V x) {
    const __m512i from = _mm512_setr_epi32(0, 0, 1, 2, 3, 4, 5, 6, 0, 8, 9, 10, 11, 12, 13, 14);
    return {_mm512_maskz_permutexvar_ps(0xFEFE, from, x.v)};
  }
  static V ShiftDown(V x) {
    const __m512i from = _mm512_setr_epi32(1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 15, 0);
    return {_mm512_maskz_permutexvar_ps(0x7F7F, from, x.v)};
  }

 private:
  static V Both(__m256 first, __m256 second) {
    return {_mm512_insertf32x8(_mm512_castps256_ps512(first), second, 1)};
  }
  static void EvenOdd(V first, V second, V* even, V* odd) {
    *even = V::Even(first, second);
    *odd = V::Odd(first, second);
  }
};

}  // namespace

void DepthwiseAvx512(const DepthwiseArgs& args) {
  DepthwiseAny<OnePlane<F32x16>, TwoPlanes, OnePlane<F32x8>>(args);
}

}  // namespace sparsenas
