// Packed weights that come from a file.
//
// Beside each packer there is
//
//   const char* FlawOf(packed, sizes of the layer...)
//
// It returns null where a kernel that is given `packed` for such a layer reads and writes nothing
// outside of its arrays and tensors, and gives finite sums; otherwise what is wrong, as the end of
// "found ...". That they are the weights of this very network nobody can tell without packing
// again.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned.h"
#include "kernels/conv_panel.h"

namespace sparsenas {

inline constexpr char kOtherSizes[] = "sizes of another layer";
inline constexpr char kNotFinite[] = "a weight that is not finite";
inline constexpr char kOutsideInput[] = "an input outside the layer's";
inline constexpr char kOtherSum[] = "counts that add up to another number of weights";

bool AllFinite(const float* values, size_t size);
inline bool AllFinite(const AlignedArray<float>& values) {
  return AllFinite(values.data(), values.size());
}

// Whether all taps are inside kernels of `channels` input channels.
bool TapsInside(const AlignedArray<ConvTap>& taps, size_t channels, size_t kernel);

// Whether every number below `size` is among `numbers` once and nothing else is, `next` being what
// steps from one to the next in elements of uint32.
bool IsPermutation(const uint32_t* numbers, size_t size, size_t next);

}  // namespace sparsenas
