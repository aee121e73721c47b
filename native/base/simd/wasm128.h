// Four floats of WebAssembly SIMD. The members are described in scalar.h.
//
// Compiled with -mrelaxed-simd, multiply-adds are those of relaxed SIMD: one instruction of the
// machine where it has one, a product and a sum where not. An engine that lacks relaxed SIMD
// refuses the whole module, so that they are in a module of their own.
#pragma once

#include <wasm_simd128.h>

#include <cstddef>
#include <cstdint>

namespace sparsenas {
namespace {

struct F32x4 {
  static constexpr size_t kLanes = 4;
  // Engines map 16 registers of SSE or AVX and keep one for themselves; sums for which there is
  // none are written to memory in the middle of a loop.
  static constexpr size_t kRegisters = 15;
  static constexpr bool kFreeSpread = false;
  using Quad = F32x4;

  v128_t v;

  static F32x4 Set(float x) { return {wasm_f32x4_splat(x)}; }
  static F32x4 Load(const float* p) { return Here({wasm_v128_load(p)}); }
  static F32x4 Keep(F32x4 x) { return x; }
  void Store(float* p) const { wasm_v128_store(p, v); }

  static F32x4 InRegister(F32x4 x) { return x; }

  // There are no masked loads: pairs and single lanes instead.
  struct Lanes {
    size_t n;
  };
  static Lanes First(size_t n) { return {n}; }
  static F32x4 Load(const float* p, Lanes lanes) {
    switch (lanes.n) {
      case 0:
        return {wasm_f32x4_const_splat(0.0f)};
      case 1:
        return {wasm_v128_load32_zero(p)};
      case 2:
        return {wasm_v128_load64_zero(p)};
      case 3:
        return {wasm_v128_load32_lane(p + 2, wasm_v128_load64_zero(p), 2)};
      default:
        return Load(p);
    }
  }
  void Store(float* p, Lanes lanes) const {
    switch (lanes.n) {
      case 0:
        return;
      case 1:
        return wasm_v128_store32_lane(p, v, 0);
      case 2:
        return wasm_v128_store64_lane(p, v, 0);
      case 3:
        wasm_v128_store64_lane(p, v, 0);
        return wasm_v128_store32_lane(p + 2, v, 2);
      default:
        return Store(p);
    }
  }

  struct Some {
    uint32_t bits;
    v128_t mask;
  };
  static Some Where(uint32_t bits) {
    const v128_t bit = wasm_i32x4_const(1, 2, 4, 8);
    return {bits, wasm_i32x4_eq(wasm_v128_and(wasm_i32x4_splat(static_cast<int>(bits)), bit), bit)};
  }
  static F32x4 Load(const float* p, Some lanes) {
    v128_t x = wasm_f32x4_const_splat(0.0f);
    if (lanes.bits & 1) x = wasm_v128_load32_lane(p, x, 0);
    if (lanes.bits & 2) x = wasm_v128_load32_lane(p + 1, x, 1);
    if (lanes.bits & 4) x = wasm_v128_load32_lane(p + 2, x, 2);
    if (lanes.bits & 8) x = wasm_v128_load32_lane(p + 3, x, 3);
    return {x};
  }
  static F32x4 Keep(F32x4 x, Some lanes) { return {wasm_v128_and(x.v, lanes.mask)}; }

  struct Four {
    v128_t v;
  };
  static Four LoadFour(const float* p) { return {wasm_v128_load(p)}; }
  template <int i>
  static F32x4 Spread(Four four) {
    return {wasm_i32x4_shuffle(four.v, four.v, i, i, i, i)};
  }

  // Loads that repeat one float are as fast as others here.
  struct Pair {
    const float* p;
  };
  static Pair LoadPair(const float* p) { return {p}; }
  template <int i>
  static F32x4 Spread(Pair pair) {
    return Set(pair.p[i]);
  }

  static constexpr size_t kTable = 1;
  static F32x4 Lookup(const float* table, const uint8_t* index) {
    v128_t x = wasm_v128_load32_zero(table + index[0]);
    x = wasm_v128_load32_lane(table + index[1], x, 1);
    x = wasm_v128_load32_lane(table + index[2], x, 2);
    return {wasm_v128_load32_lane(table + index[3], x, 3)};
  }
  static F32x4 LookupFour(const float* table, const uint8_t* index) { return Set(table[*index]); }

  struct Places {
    v128_t v;
  };
  static Places LoadPlaces(const uint32_t* p) { return {wasm_v128_load(p)}; }
  static Places NextPlaces(Places places) { return {wasm_u32x4_shr(places.v, 2)}; }
  static F32x4 Pick(Four four, Places places) {
    const v128_t i = wasm_v128_and(places.v, wasm_i32x4_const_splat(3));
    // The bytes of float i are 4 i to 4 i + 3.
    const v128_t bytes = wasm_i32x4_add(wasm_i32x4_mul(i, wasm_i32x4_const_splat(0x04040404)),
                                        wasm_i32x4_const_splat(0x03020100));
    return {wasm_i8x16_swizzle(four.v, bytes)};
  }

  static F32x4 Add(F32x4 a, F32x4 b) { return {wasm_f32x4_add(a.v, b.v)}; }
  static F32x4 Mul(F32x4 a, F32x4 b) { return {wasm_f32x4_mul(a.v, b.v)}; }
  static F32x4 Div(F32x4 a, F32x4 b) { return {wasm_f32x4_div(a.v, b.v)}; }
  // The pseudo-minimum and -maximum are one instruction where the exact ones are several. They
  // return the first operand unless the second is less or greater: NaN stays NaN.
  static F32x4 Max(F32x4 a, F32x4 b) { return {wasm_f32x4_pmax(a.v, b.v)}; }
#if defined(__wasm_relaxed_simd__)
  static F32x4 MulAdd(F32x4 a, F32x4 b, F32x4 c) {
    return Here({wasm_f32x4_relaxed_madd(a.v, b.v, c.v)});
  }
#else
  static F32x4 MulAdd(F32x4 a, F32x4 b, F32x4 c) {
    return Here({wasm_f32x4_add(wasm_f32x4_mul(a.v, b.v), c.v)});
  }
#endif
  static void AddProduct(F32x4 a, F32x4 b, F32x4* c) { *c = MulAdd(a, b, *c); }
  static F32x4 Clamp(F32x4 x, F32x4 low, F32x4 high) {
    return {wasm_f32x4_pmin(wasm_f32x4_pmax(x.v, low.v), high.v)};
  }

  static F32x4 Inside(F32x4 x, F32x4 y, F32x4 low, F32x4 high) {
    const v128_t outside = wasm_v128_or(wasm_f32x4_le(y.v, low.v), wasm_f32x4_ge(y.v, high.v));
    return {wasm_v128_andnot(x.v, outside)};
  }

  static F32x4 LowBitsToExponent(F32x4 x) { return {wasm_i32x4_shl(x.v, 23)}; }

  static F32x4 ShiftUp(F32x4 x, F32x4 next) {
    return {wasm_i32x4_shuffle(x.v, next.v, 4, 0, 1, 2)};
  }
  static F32x4 ShiftDown(F32x4 x, F32x4 next) {
    return {wasm_i32x4_shuffle(x.v, next.v, 1, 2, 3, 4)};
  }
  static F32x4 ShiftUp(F32x4 x) { return ShiftUp(x, Set(0.0f)); }
  static F32x4 ShiftDown(F32x4 x) { return ShiftDown(x, Set(0.0f)); }

  static F32x4 Even(F32x4 a, F32x4 b) { return {wasm_i32x4_shuffle(a.v, b.v, 0, 2, 4, 6)}; }
  static F32x4 Odd(F32x4 a, F32x4 b) { return {wasm_i32x4_shuffle(a.v, b.v, 1, 3, 5, 7)}; }

  static float Sum(F32x4 x) {
    const v128_t pairs = wasm_f32x4_add(x.v, wasm_i32x4_shuffle(x.v, x.v, 2, 3, 0, 1));
    return wasm_f32x4_extract_lane(pairs, 0) + wasm_f32x4_extract_lane(pairs, 1);
  }

 private:
  // Keeps loads and multiply-adds in the order that they are written in. The compiler, who counts
  // on any number of registers, would load as early as it can; an engine has sixteen.
  static F32x4 Here(F32x4 x) {
    __asm__ volatile("" : "+r"(x.v));
    return x;
  }
};

}  // namespace
}  // namespace sparsenas
