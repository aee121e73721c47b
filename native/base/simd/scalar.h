// The vector of one float: the reference, and what runs everywhere.
//
// All vector types have the members of this one. They live in anonymous namespaces because the same
// code is compiled several times with different flags: with external linkage, the linker would keep
// one copy for all callers, and it might be one the machine cannot run. For the same reason nothing
// of std:: that has code in it is used here or in a generic.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sparsenas {
namespace {

struct F32x1 {
  static constexpr size_t kLanes = 1;
  // Vector registers, which decide how large a register tile can be.
  static constexpr size_t kRegisters = 16;
  // Whether multiply-adds take a lane of a vector as it is, so that Spread costs nothing.
  static constexpr bool kFreeSpread = false;
  // Four lanes, or as many as there are: its members are Set, Load, Store and MulAdd.
  using Quad = F32x1;

  float v;

  static F32x1 Set(float x) { return {x}; }
  static F32x1 Load(const float* p) { return {*p}; }
  void Store(float* p) const { *p = v; }

  // x, in a register: of a vector that several multiply-adds take, compilers for x86 make a load in
  // each of them.
  static F32x1 Keep(F32x1 x) { return x; }

  // x, which the compiler may not load again for each use: it folds loads into multiply-adds, as
  // many as there are.
  static F32x1 InRegister(F32x1 x) { return x; }

  // The first n lanes, n <= kLanes: loads read only those and set the others to zero, stores write
  // only those.
  struct Lanes {
    size_t n;
  };
  static Lanes First(size_t n) { return {n}; }
  static F32x1 Load(const float* p, Lanes lanes) { return {lanes.n == 0 ? 0.0f : *p}; }
  void Store(float* p, Lanes lanes) const {
    if (lanes.n != 0) *p = v;
  }

  // The lanes i whose bit i of `bits` is set: loads read only those, Keep sets the others to zero.
  struct Some {
    bool first;
  };
  static Some Where(uint32_t bits) { return {(bits & 1) != 0}; }
  static F32x1 Load(const float* p, Some lanes) { return {lanes.first ? *p : 0.0f}; }
  static F32x1 Keep(F32x1 x, Some lanes) { return {lanes.first ? x.v : 0.0f}; }

  // Four floats of which each can be had in every lane: one load instead of four.
  struct Four {
    const float* p;
  };
  static Four LoadFour(const float* p) { return {p}; }
  template <int i>
  static F32x1 Spread(Four four) {
    return {four.p[i]};
  }

  // Two of them.
  struct Pair {
    const float* p;
  };
  static Pair LoadPair(const float* p) { return {p}; }
  template <int i>
  static F32x1 Spread(Pair pair) {
    return {pair.p[i]};
  }

  // table[index[i]] in lane i, of the first kTable floats, all of which may be read. Where kTable
  // is 1 only those looked up are, and every index is good.
  static constexpr size_t kTable = 1;
  static F32x1 Lookup(const float* table, const uint8_t* index) { return {table[*index]}; }
  // table[index[i / 4]], every index is good.
  static F32x1 LookupFour(const float* table, const uint8_t* index) { return {table[*index]}; }

  // 16 numbers of two bits for each lane, the first in the lowest bits.
  struct Places {
    uint32_t bits;
  };
  static Places LoadPlaces(const uint32_t* p) { return {*p}; }
  static Places NextPlaces(Places places) { return {places.bits >> 2}; }
  // The float of `four` that the first number of each lane says.
  static F32x1 Pick(Four four, Places places) { return {four.p[places.bits & 3]}; }

  static F32x1 Add(F32x1 a, F32x1 b) { return {a.v + b.v}; }
  static F32x1 Mul(F32x1 a, F32x1 b) { return {a.v * b.v}; }
  static F32x1 Div(F32x1 a, F32x1 b) { return {a.v / b.v}; }
  // Either where one is NaN.
  static F32x1 Max(F32x1 a, F32x1 b) { return {a.v < b.v ? b.v : a.v}; }
  // a * b + c.
  static F32x1 MulAdd(F32x1 a, F32x1 b, F32x1 c) { return {a.v * b.v + c.v}; }
  // *c = a * b + *c in place, whatever it takes: g++ 12 likes to overwrite a factor instead and
  // then to copy, until it runs out of registers.
  static void AddProduct(F32x1 a, F32x1 b, F32x1* c) { *c = MulAdd(a, b, *c); }
  // min(max(x, low), high); NaN stays NaN.
  static F32x1 Clamp(F32x1 x, F32x1 low, F32x1 high) {
    const float raised = x.v < low.v ? low.v : x.v;
    return {raised > high.v ? high.v : raised};
  }

  // x where low < y < high or y is NaN, else 0.
  static F32x1 Inside(F32x1 x, F32x1 y, F32x1 low, F32x1 high) {
    return {y.v <= low.v || y.v >= high.v ? 0.0f : x.v};
  }

  // The number whose bits are those of x, shifted left by 23: the lowest eight become its exponent.
  static F32x1 LowBitsToExponent(F32x1 x) {
    uint32_t bits;
    __builtin_memcpy(&bits, &x.v, sizeof bits);
    bits <<= 23;
    __builtin_memcpy(&x.v, &bits, sizeof bits);
    return x;
  }

  // Lane i of the result is lane i - 1 (Up) or i + 1 (Down) of x; zero where there is none.
  static F32x1 ShiftUp(F32x1) { return {0.0f}; }
  static F32x1 ShiftDown(F32x1) { return {0.0f}; }
  // The same with a lane of `next`, all of whose lanes are equal, where there is none.
  static F32x1 ShiftUp(F32x1, F32x1 next) { return next; }
  static F32x1 ShiftDown(F32x1, F32x1 next) { return next; }

  // The even or odd floats of 2 * kLanes floats: `a` is the first half of them, `b` the second.
  static F32x1 Even(F32x1 a, F32x1) { return a; }
  static F32x1 Odd(F32x1, F32x1 b) { return b; }

  // The sum of all lanes.
  static float Sum(F32x1 x) { return x.v; }
};

}  // namespace
}  // namespace sparsenas
