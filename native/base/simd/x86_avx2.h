// Eight floats in a register of AVX2 with FMA. The members are described in scalar.h.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "base/simd/x86_f32x4.h"

namespace sparsenas {
namespace {

struct F32x8 {
  static constexpr size_t kLanes = 8;
  static constexpr size_t kRegisters = 16;
  static constexpr bool kFreeSpread = false;
  using Quad = F32x4;

  __m256 v;

  static F32x8 Set(float x) { return {_mm256_set1_ps(x)}; }
  static F32x8 Load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static F32x8 Keep(F32x8 x) {
    __asm__("" : "+v"(x.v));
    return x;
  }
  void Store(float* p) const { _mm256_storeu_ps(p, v); }

  static F32x8 InRegister(F32x8 x) {
    asm("" : "+x"(x.v));
    return x;
  }

  struct Lanes {
    __m256i mask;
  };
  static Lanes First(size_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return {_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane)};
  }
  static F32x8 Load(const float* p, Lanes lanes) { return {_mm256_maskload_ps(p, lanes.mask)}; }
  void Store(float* p, Lanes lanes) const { _mm256_maskstore_ps(p, lanes.mask, v); }

  using Some = Lanes;
  static Some Where(uint32_t bits) {
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i all = _mm256_set1_epi32(static_cast<int>(bits));
    return {_mm256_cmpeq_epi32(_mm256_and_si256(all, bit), bit)};
  }
  static F32x8 Keep(F32x8 x, Some lanes) {
    return {_mm256_and_ps(x.v, _mm256_castsi256_ps(lanes.mask))};
  }

  struct Four {
    __m256 v;  // In each half.
  };
  static Four LoadFour(const float* p) {
    return {_mm256_broadcast_ps(reinterpret_cast<const __m128*>(p))};
  }
  template <int i>
  static F32x8 Spread(Four four) {
    return {_mm256_permute_ps(four.v, i * 0x55)};
  }

  struct Pair {
    __m256 v;  // Repeated.
  };
  static Pair LoadPair(const float* p) {
    return {_mm256_castpd_ps(_mm256_broadcast_sd(reinterpret_cast<const double*>(p)))};
  }
  template <int i>
  static F32x8 Spread(Pair pair) {
    return {_mm256_permute_ps(pair.v, i * 0x55)};
  }

  static constexpr size_t kTable = 16;
  static F32x8 Lookup(const float* table, const uint8_t* index) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(index));
    const __m256i i = _mm256_cvtepu8_epi32(bytes);
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), i);
    const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), i);
    // Blends look at the sign.
    return {_mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)))};
  }
  static F32x8 LookupFour(const float* table, const uint8_t* index) {
    return {
        _mm256_blend_ps(_mm256_set1_ps(table[index[0]]), _mm256_set1_ps(table[index[1]]), 0xF0)};
  }

  struct Places {
    __m256i v;
  };
  static Places LoadPlaces(const uint32_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
  }
  static Places NextPlaces(Places places) { return {_mm256_srli_epi32(places.v, 2)}; }
  static F32x8 Pick(Four four, Places places) { return {_mm256_permutevar_ps(four.v, places.v)}; }

  static F32x8 Add(F32x8 a, F32x8 b) { return {_mm256_add_ps(a.v, b.v)}; }
  static F32x8 Mul(F32x8 a, F32x8 b) { return {_mm256_mul_ps(a.v, b.v)}; }
  static F32x8 Div(F32x8 a, F32x8 b) { return {_mm256_div_ps(a.v, b.v)}; }
  static F32x8 Max(F32x8 a, F32x8 b) { return {_mm256_max_ps(a.v, b.v)}; }
  static F32x8 MulAdd(F32x8 a, F32x8 b, F32x8 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
  static void AddProduct(F32x8 a, F32x8 b, F32x8* c) {
    asm("vfmadd231ps %2, %1, %0" : "+x"(c->v) : "x"(a.v), "x"(b.v));
  }
  // Of two operands one of which is NaN the instructions return the second.
  static F32x8 Clamp(F32x8 x, F32x8 low, F32x8 high) {
    return {_mm256_min_ps(high.v, _mm256_max_ps(low.v, x.v))};
  }

  static F32x8 Inside(F32x8 x, F32x8 y, F32x8 low, F32x8 high) {
    const __m256 above = _mm256_and_ps(x.v, _mm256_cmp_ps(y.v, low.v, _CMP_NLE_UQ));
    return {_mm256_and_ps(above, _mm256_cmp_ps(y.v, high.v, _CMP_NGE_UQ))};
  }

  static F32x8 LowBitsToExponent(F32x8 x) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(x.v), 23))};
  }

  static F32x8 ShiftUp(F32x8 x, F32x8 next) {
    const __m256i from = _mm256_setr_epi32(0, 0, 1, 2, 3, 4, 5, 6);
    return {_mm256_blend_ps(_mm256_permutevar8x32_ps(x.v, from), next.v, 0x01)};
  }
  static F32x8 ShiftDown(F32x8 x, F32x8 next) {
    const __m256i from = _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 7);
    return {_mm256_blend_ps(_mm256_permutevar8x32_ps(x.v, from), next.v, 0x80)};
  }
  static F32x8 ShiftUp(F32x8 x) { return ShiftUp(x, Set(0.0f)); }
  static F32x8 ShiftDown(F32x8 x) { return ShiftDown(x, Set(0.0f)); }

#if defined(__AVX512VL__)
  // One instruction each where this type serves narrow planes beside the sixteen lanes of AVX-512.
  static F32x8 Even(F32x8 a, F32x8 b) {
    const __m256i from = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14);
    return {_mm256_permutex2var_ps(a.v, from, b.v)};
  }
  static F32x8 Odd(F32x8 a, F32x8 b) {
    const __m256i from = _mm256_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15);
    return {_mm256_permutex2var_ps(a.v, from, b.v)};
  }
#else
  static F32x8 Even(F32x8 a, F32x8 b) { return InOrder(_mm256_shuffle_ps(a.v, b.v, 0x88)); }
  static F32x8 Odd(F32x8 a, F32x8 b) { return InOrder(_mm256_shuffle_ps(a.v, b.v, 0xDD)); }

  // _mm256_shuffle_ps works within 128 bits: its pairs come out as a0, b0, a1, b1.
  static F32x8 InOrder(__m256 x) {
    return {_mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(x), 0xD8))};
  }
#endif

  static float Sum(F32x8 x) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x.v), _mm256_extractf128_ps(x.v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
};

}  // namespace
}  // namespace sparsenas
