// The last thing an operator does to its result: its activation.
//
//   const Finish<V> finish(args.activation);
//
// Where nothing else is in registers, as in pointwise loops:
//
//   finish(sum).Store(out);
//
// Where sums and weights are: a curve is a call, and registers do not survive calls, so that it
// comes as a second pass, over what is still in the cache. It returns at once where the activation
// is a clamp:
//
//   finish.Clamp(sum).Store(out);  // In the loop.
//   ...
//   finish.Curve(first, pixels);   // When a tile or plane is done.
//
// A clamp takes two instructions; a curve about twenty (exp as a polynomial) or, for the hard ones,
// four. Lanes do not touch each other, so that anything may be in those that are padding.
#pragma once

#include <cstddef>

#include "kernels/activation.h"

namespace sparsenas {
namespace {

// exp(x), off by less than 3e-7 of the value; x is taken as -87 or 87 where it is beyond, so that
// the result is neither infinite nor denormal.
template <class V>
inline V Exp(V x) {
  x = V::Clamp(x, V::Set(-87.0f), V::Set(87.0f));
  // Adding 1.5 * 2^23 rounds to an integer n and leaves n in the low bits; with 127 more, those are
  // the exponent of 2^n.
  constexpr float kRound = 12582912.0f + 127.0f;
  const V rounded = V::MulAdd(x, V::Set(1.44269504f), V::Set(kRound));
  const V n = V::Add(rounded, V::Set(-kRound));
  // r = x - n ln 2, with ln 2 in two parts, the first of so few bits that its product is exact.
  V r = V::MulAdd(n, V::Set(-0.693359375f), x);
  r = V::MulAdd(n, V::Set(2.12194440e-4f), r);
  // exp(r) for |r| <= ln 2 / 2, its relative error 1e-7 at most (a least maximum fit).
  V y = V::Set(0.00829022944f);
  y = V::MulAdd(y, r, V::Set(0.0418983901f));
  y = V::MulAdd(y, r, V::Set(0.166676401f));
  y = V::MulAdd(y, r, V::Set(0.499991461f));
  y = V::MulAdd(y, r, V::Set(0.999999705f));
  y = V::MulAdd(y, r, V::Set(1.0f));
  return V::Mul(y, V::LowBitsToExponent(rounded));
}

// An activation that is no clamp.
template <class V>
inline V CurveOf(Activation curve, V x) {
  const V zero = V::Set(0.0f), one = V::Set(1.0f);
  if (curve == Activation::kHardSwish || curve == Activation::kHardSigmoid) {
    const V gate = V::Clamp(V::MulAdd(x, V::Set(1.0f / 6.0f), V::Set(0.5f)), zero, one);
    return curve == Activation::kHardSwish ? V::Mul(x, gate) : gate;
  }
  const V denominator = V::Add(one, Exp(V::Mul(x, V::Set(-1.0f))));
  if (curve == Activation::kSigmoid) return V::Div(one, denominator);
  // Where Exp stops at 87 the result is to go to zero all the same.
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return V::Div(V::Clamp(x, V::Set(-100.0f), V::Set(kInfinity)), denominator);
}

// The same, out of the way of the loops that call it.
template <class V>
[[gnu::noinline]] V ApplyCurve(Activation curve, V x) {
  return CurveOf(curve, x);
}
template <class V>
[[gnu::noinline]] void ApplyCurve(Activation curve, float* x, size_t size) {
  size_t i = 0;
  for (; i + V::kLanes <= size; i += V::kLanes) CurveOf(curve, V::Load(x + i)).Store(x + i);
  const typename V::Lanes rest = V::First(size - i);
  if (i < size) CurveOf(curve, V::Load(x + i, rest)).Store(x + i, rest);
}

template <class V>
class Finish {
 public:
  explicit Finish(const ActivationArgs& args)
      : low_(V::Set(args.low)), high_(V::Set(args.high)), curve_(args.curve) {}

  V operator()(V x) const {
    if (__builtin_expect(curve_ != Activation::kNone, 0)) return ApplyCurve(curve_, x);
    return Clamp(x);
  }

  V Clamp(V x) const { return V::Clamp(x, low_, high_); }

  bool HasCurve() const { return curve_ != Activation::kNone; }

  // Applies the curve, if there is one, to `size` floats.
  void Curve(float* x, size_t size) const {
    if (__builtin_expect(curve_ != Activation::kNone, 0)) ApplyCurve<V>(curve_, x, size);
  }

 private:
  V low_, high_;
  Activation curve_;
};

}  // namespace
}  // namespace sparsenas
