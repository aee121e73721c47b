#include "kernels/flaw.h"

#include <cstring>
#include <vector>

namespace sparsenas {

bool AllFinite(const float* values, size_t size) {
  // On bits, without a way out of the loop: it runs on vectors.
  constexpr uint32_t kExponent = 0x7f800000u;
  uint32_t wrong = 0;
  for (size_t i = 0; i < size; ++i) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    wrong |= (bits & kExponent) == kExponent;
  }
  return wrong == 0;
}

bool TapsInside(const AlignedArray<ConvTap>& taps, size_t channels, size_t kernel) {
  for (size_t i = 0; i < taps.size(); ++i) {
    if (taps[i].channel >= channels || taps[i].tap >= kernel * kernel) return false;
  }
  return true;
}

bool IsPermutation(const uint32_t* numbers, size_t size, size_t next) {
  std::vector<bool> seen(size);
  for (size_t i = 0; i < size; ++i) {
    const uint32_t number = numbers[i * next];
    if (number >= size || seen[number]) return false;
    seen[number] = true;
  }
  return true;
}

}  // namespace sparsenas
