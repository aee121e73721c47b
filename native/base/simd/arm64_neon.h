// Four floats in a register of 64-bit Arm. The members are described in scalar.h.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

namespace sparsenas {
namespace {

struct F32x4 {
  static constexpr size_t kLanes = 4;
  static constexpr size_t kRegisters = 32;
  static constexpr bool kFreeSpread = true;
  using Quad = F32x4;

  float32x4_t v;

  static F32x4 Set(float x) { return {vdupq_n_f32(x)}; }
  static F32x4 Load(const float* p) { return {vld1q_f32(p)}; }
  static F32x4 Keep(F32x4 x) { return x; }
  void Store(float* p) const { vst1q_f32(p, v); }

  static F32x4 InRegister(F32x4 x) { return x; }

  // There are no masked loads: pairs and single lanes instead.
  struct Lanes {
    size_t n;
  };
  static Lanes First(size_t n) { return {n}; }
  static F32x4 Load(const float* p, Lanes lanes) {
    const float32x4_t zero = vdupq_n_f32(0.0f);
    switch (lanes.n) {
      case 0:
        return {zero};
      case 1:
        return {vld1q_lane_f32(p, zero, 0)};
      case 2:
        return {vcombine_f32(vld1_f32(p), vdup_n_f32(0.0f))};
      case 3:
        return {vld1q_lane_f32(p + 2, vcombine_f32(vld1_f32(p), vdup_n_f32(0.0f)), 2)};
      default:
        return Load(p);
    }
  }
  void Store(float* p, Lanes lanes) const {
    switch (lanes.n) {
      case 0:
        return;
      case 1:
        return vst1q_lane_f32(p, v, 0);
      case 2:
        return vst1_f32(p, vget_low_f32(v));
      case 3:
        vst1_f32(p, vget_low_f32(v));
        return vst1q_lane_f32(p + 2, v, 2);
      default:
        return Store(p);
    }
  }

  struct Some {
    uint32_t bits;
    uint32x4_t mask;
  };
  static Some Where(uint32_t bits) {
    const uint32x4_t bit = {1, 2, 4, 8};
    return {bits, vtstq_u32(vdupq_n_u32(bits), bit)};
  }
  static F32x4 Load(const float* p, Some lanes) {
    float32x4_t x = vdupq_n_f32(0.0f);
    if (lanes.bits & 1) x = vld1q_lane_f32(p, x, 0);
    if (lanes.bits & 2) x = vld1q_lane_f32(p + 1, x, 1);
    if (lanes.bits & 4) x = vld1q_lane_f32(p + 2, x, 2);
    if (lanes.bits & 8) x = vld1q_lane_f32(p + 3, x, 3);
    return {x};
  }
  static F32x4 Keep(F32x4 x, Some lanes) {
    return {vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x.v), lanes.mask))};
  }

  struct Four {
    float32x4_t v;
  };
  static Four LoadFour(const float* p) { return {vld1q_f32(p)}; }
  template <int i>
  static F32x4 Spread(Four four) {
    return {vdupq_laneq_f32(four.v, i)};
  }

  struct Pair {
    float32x2_t v;
  };
  static Pair LoadPair(const float* p) { return {vld1_f32(p)}; }
  template <int i>
  static F32x4 Spread(Pair pair) {
    return {vdupq_lane_f32(pair.v, i)};
  }

  static constexpr size_t kTable = 1;
  static F32x4 Lookup(const float* table, const uint8_t* index) {
    float32x4_t x = vld1q_dup_f32(table + index[0]);
    x = vld1q_lane_f32(table + index[1], x, 1);
    x = vld1q_lane_f32(table + index[2], x, 2);
    return {vld1q_lane_f32(table + index[3], x, 3)};
  }
  static F32x4 LookupFour(const float* table, const uint8_t* index) { return Set(table[*index]); }

  struct Places {
    uint32x4_t v;
  };
  static Places LoadPlaces(const uint32_t* p) { return {vld1q_u32(p)}; }
  static Places NextPlaces(Places places) { return {vshrq_n_u32(places.v, 2)}; }
  static F32x4 Pick(Four four, Places places) {
    const uint32x4_t i = vandq_u32(places.v, vdupq_n_u32(3));
    // The bytes of float i are 4 i to 4 i + 3.
    const uint32x4_t bytes = vmlaq_u32(vdupq_n_u32(0x03020100), i, vdupq_n_u32(0x04040404));
    return {vreinterpretq_f32_u8(
        vqtbl1q_u8(vreinterpretq_u8_f32(four.v), vreinterpretq_u8_u32(bytes)))};
  }

  static F32x4 Add(F32x4 a, F32x4 b) { return {vaddq_f32(a.v, b.v)}; }
  static F32x4 Mul(F32x4 a, F32x4 b) { return {vmulq_f32(a.v, b.v)}; }
  static F32x4 Div(F32x4 a, F32x4 b) { return {vdivq_f32(a.v, b.v)}; }
  static F32x4 Max(F32x4 a, F32x4 b) { return {vmaxq_f32(a.v, b.v)}; }
  static F32x4 MulAdd(F32x4 a, F32x4 b, F32x4 c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
  static void AddProduct(F32x4 a, F32x4 b, F32x4* c) { *c = MulAdd(a, b, *c); }
  static F32x4 Clamp(F32x4 x, F32x4 low, F32x4 high) {
    return {vminq_f32(vmaxq_f32(x.v, low.v), high.v)};
  }

  static F32x4 Inside(F32x4 x, F32x4 y, F32x4 low, F32x4 high) {
    const uint32x4_t outside = vorrq_u32(vcleq_f32(y.v, low.v), vcgeq_f32(y.v, high.v));
    return {vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x.v), outside))};
  }

  static F32x4 LowBitsToExponent(F32x4 x) {
    return {vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(x.v), 23))};
  }

  static F32x4 ShiftUp(F32x4 x, F32x4 next) { return {vextq_f32(next.v, x.v, 3)}; }
  static F32x4 ShiftDown(F32x4 x, F32x4 next) { return {vextq_f32(x.v, next.v, 1)}; }
  static F32x4 ShiftUp(F32x4 x) { return ShiftUp(x, Set(0.0f)); }
  static F32x4 ShiftDown(F32x4 x) { return ShiftDown(x, Set(0.0f)); }

  static F32x4 Even(F32x4 a, F32x4 b) { return {vuzp1q_f32(a.v, b.v)}; }
  static F32x4 Odd(F32x4 a, F32x4 b) { return {vuzp2q_f32(a.v, b.v)}; }

  static float Sum(F32x4 x) { return vaddvq_f32(x.v); }
};

}  // namespace
}  // namespace sparsenas
