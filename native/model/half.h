// Half precision, IEEE 754 binary16, as model files may store weights.
#pragma once

#include <cstdint>
#include <cstring>

namespace sparsenas {

inline bool IsFiniteHalf(uint16_t bits) { return (bits & 0x7c00u) != 0x7c00u; }

// Exact: every finite half is a float.
inline float Widen(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t magnitude = half & 0x7fffu;
  uint32_t bits;
  if (magnitude < 0x0400u) {  // Multiples of 2^-24, the smallest half.
    const float small = static_cast<float>(magnitude) * 0x1p-24f;
    std::memcpy(&bits, &small, sizeof bits);
  } else {
    // Exponents count from -15 in a half, from -127 in a float.
    bits = (magnitude << 13) + (uint32_t{127 - 15} << 23);
  }
  bits |= sign;
  float wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}

}  // namespace sparsenas
