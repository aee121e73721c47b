// The patterns of a 3x3 kernel: its centre and three of the eight weights around that.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sparsenas {

// Taps of a 3x3 kernel, and of them those of a pattern.
constexpr size_t kConvTaps = 9;
constexpr size_t kConvPatternTaps = 4;

// Patterns: 8 choose 3.
constexpr size_t kConvPatterns = 56;

constexpr size_t CountTaps(uint32_t bits) {
  size_t count = 0;
  for (; bits != 0; bits &= bits - 1) ++count;
  return count;
}

constexpr bool IsConvPattern(uint32_t bits) {
  return bits < 1u << kConvTaps && CountTaps(bits) == kConvPatternTaps && (bits >> 4 & 1) == 1;
}

// The taps 3 * r + s of pattern `pattern` as bits; patterns are numbered by them.
constexpr uint32_t ConvPatternBits(size_t pattern) {
  uint32_t bits = 0;
  while (!IsConvPattern(bits) || pattern-- > 0) ++bits;
  return bits;
}

}  // namespace sparsenas
