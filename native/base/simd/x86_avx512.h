// Sixteen floats in a register of AVX-512. The members are described in scalar.h.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "base/simd/x86_f32x4.h"

namespace sparsenas {
namespace {

struct F32x16 {
  static constexpr size_t kLanes = 16;
  static constexpr size_t kRegisters = 32;
  static constexpr bool kFreeSpread = false;
  using Quad = F32x4;

  __m512 v;

  static F32x16 Set(float x) { return {_mm512_set1_ps(x)}; }
  static F32x16 Load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static F32x16 Keep(F32x16 x) {
    __asm__("" : "+v"(x.v));
    return x;
  }
  void Store(float* p) const { _mm512_storeu_ps(p, v); }

  static F32x16 InRegister(F32x16 x) {
    asm("" : "+v"(x.v));
    return x;
  }

  struct Lanes {
    __mmask16 mask;
  };
  static Lanes First(size_t n) { return {static_cast<__mmask16>((1u << n) - 1)}; }
  static F32x16 Load(const float* p, Lanes lanes) { return {_mm512_maskz_loadu_ps(lanes.mask, p)}; }
  void Store(float* p, Lanes lanes) const { _mm512_mask_storeu_ps(p, lanes.mask, v); }

  // Not a mask register: moving masks there takes as long as a store.
  struct Some {
    __m512i mask;
  };
  static Some Where(uint32_t bits) { return {_mm512_movm_epi32(static_cast<__mmask16>(bits))}; }
  static F32x16 Load(const float* p, Some lanes) {
    return {_mm512_maskz_loadu_ps(_mm512_movepi32_mask(lanes.mask), p)};
  }
  static F32x16 Keep(F32x16 x, Some lanes) { return Float(_mm512_and_si512(Int(x), lanes.mask)); }

  struct Four {
    __m512 v;  // In each quarter.
  };
  static Four LoadFour(const float* p) { return {_mm512_broadcast_f32x4(_mm_loadu_ps(p))}; }
  template <int i>
  static F32x16 Spread(Four four) {
    return {_mm512_permute_ps(four.v, i * 0x55)};
  }

  struct Pair {
    __m512 v;  // Repeated.
  };
  static Pair LoadPair(const float* p) {
    const __m128d pair = _mm_load_sd(reinterpret_cast<const double*>(p));
    return {_mm512_castpd_ps(_mm512_broadcastsd_pd(pair))};
  }
  template <int i>
  static F32x16 Spread(Pair pair) {
    return {_mm512_permute_ps(pair.v, i * 0x55)};
  }

  static constexpr size_t kTable = 32;
  static F32x16 Lookup(const float* table, const uint8_t* index) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(index));
    const __m512i i = _mm512_cvtepu8_epi32(bytes);
    return {_mm512_permutex2var_ps(_mm512_loadu_ps(table), i, _mm512_loadu_ps(table + 16))};
  }
  static F32x16 LookupFour(const float* table, const uint8_t* index) {
    uint32_t bytes;  // One load for four.
    __builtin_memcpy(&bytes, index, sizeof bytes);
    __m512 x = _mm512_set1_ps(table[bytes & 0xFF]);
    x = _mm512_mask_broadcastss_ps(x, 0x00F0, _mm_load_ss(table + (bytes >> 8 & 0xFF)));
    x = _mm512_mask_broadcastss_ps(x, 0x0F00, _mm_load_ss(table + (bytes >> 16 & 0xFF)));
    return {_mm512_mask_broadcastss_ps(x, 0xF000, _mm_load_ss(table + (bytes >> 24)))};
  }

  struct Places {
    __m512i v;
  };
  static Places LoadPlaces(const uint32_t* p) { return {_mm512_loadu_si512(p)}; }
  static Places NextPlaces(Places places) { return {_mm512_srli_epi32(places.v, 2)}; }
  static F32x16 Pick(Four four, Places places) { return {_mm512_permutevar_ps(four.v, places.v)}; }

  static F32x16 Add(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
  static F32x16 Mul(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
  static F32x16 Div(F32x16 a, F32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
  static F32x16 Max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
  static F32x16 MulAdd(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  static void AddProduct(F32x16 a, F32x16 b, F32x16* c) {
    asm("vfmadd231ps %2, %1, %0" : "+v"(c->v) : "v"(a.v), "v"(b.v));
  }
  // Of two operands one of which is NaN the instructions return the second.
  static F32x16 Clamp(F32x16 x, F32x16 low, F32x16 high) {
    return {_mm512_min_ps(high.v, _mm512_max_ps(low.v, x.v))};
  }

  static F32x16 Inside(F32x16 x, F32x16 y, F32x16 low, F32x16 high) {
    const __mmask16 above = _mm512_cmp_ps_mask(y.v, low.v, _CMP_NLE_UQ);
    return {_mm512_maskz_mov_ps(_mm512_mask_cmp_ps_mask(above, y.v, high.v, _CMP_NGE_UQ), x.v)};
  }

  static F32x16 LowBitsToExponent(F32x16 x) { return Float(_mm512_slli_epi32(Int(x), 23)); }

  static F32x16 ShiftUp(F32x16 x, F32x16 next) {
    return Float(_mm512_alignr_epi32(Int(x), Int(next), 15));
  }
  static F32x16 ShiftDown(F32x16 x, F32x16 next) {
    return Float(_mm512_alignr_epi32(Int(next), Int(x), 1));
  }
  static F32x16 ShiftUp(F32x16 x) { return ShiftUp(x, Set(0.0f)); }
  static F32x16 ShiftDown(F32x16 x) { return ShiftDown(x, Set(0.0f)); }

  static F32x16 Even(F32x16 a, F32x16 b) {
    const __m512i from =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return {_mm512_permutex2var_ps(a.v, from, b.v)};
  }
  static F32x16 Odd(F32x16 a, F32x16 b) {
    const __m512i from =
        _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return {_mm512_permutex2var_ps(a.v, from, b.v)};
  }

  static float Sum(F32x16 x) {
    const __m256 low = _mm512_castps512_ps256(x.v);
    const __m256 high = _mm512_extractf32x8_ps(x.v, 1);
    const __m256 both = _mm256_add_ps(low, high);
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }

 private:
  static __m512i Int(F32x16 x) { return _mm512_castps_si512(x.v); }
  static F32x16 Float(__m512i x) { return {_mm512_castsi512_ps(x)}; }
};

}  // namespace
}  // namespace sparsenas
