#include "kernels/flaw.h"

#include <algorithm>

#include "kernels/fully_connected/fully_connected.h"

namespace sparsenas {

const char* FlawOf(const FullyConnectedDenseWeights& packed, size_t out_channels,
                   size_t in_channels) {
  const uint64_t padded = RoundUp(out_channels, kFullyConnectedGroup);
  if (packed.in_channels != in_channels || packed.out_channels != out_channels ||
      packed.weight.size() != padded * in_channels || packed.bias.size() != padded)
    return kOtherSizes;
  return AllFinite(packed.weight) && AllFinite(packed.bias) ? nullptr : kNotFinite;
}

template <int kRows>
const char* FlawOf(const FullyConnectedSparseWeights<kRows>& packed, size_t out_channels,
                   size_t in_channels, Isa isa) {
  const size_t group = FullyConnectedSparseGroup(IsaLanes(isa), kRows);
  const uint64_t padded = RoundUp(out_channels, group);
  const size_t indices = group / kRows;
  const size_t steps = packed.window.size();
  // Products of numbers that arrays of this size were found to have room for.
  if (packed.in_channels != in_channels || packed.out_channels != out_channels ||
      packed.counts.size() != padded / group || packed.order.size() != padded ||
      packed.bias.size() != padded || packed.index.size() != steps * indices ||
      packed.value.size() != steps * group)
    return kOtherSizes;
  uint64_t counted = 0;
  for (size_t i = 0; i < packed.counts.size(); ++i) counted += packed.counts[i];
  if (counted != steps) return kOtherSum;
  // Those beyond the last output channel are computed and not stored.
  if (!IsPermutation(packed.order.data(), out_channels, 1)) return "output channels left out";
  const FullyConnectedWindows windows = FullyConnectedWindowsOf(isa, kRows);
  const size_t last = in_channels - std::min(in_channels, windows.size);
  for (size_t i = 0; i < steps; ++i) {
    const size_t first = packed.window[i];
    if (first > last) return kOutsideInput;
    const size_t size = std::min(windows.size, in_channels - first);
    for (size_t k = i * indices; k < (i + 1) * indices; ++k) {
      if (packed.index[k] >= size) return kOutsideInput;
    }
  }
  return AllFinite(packed.value) && AllFinite(packed.bias) ? nullptr : kNotFinite;
}

template const char* FlawOf(const FullyConnectedUnstructuredWeights&, size_t, size_t, Isa);
template const char* FlawOf(const FullyConnectedBlock4Weights&, size_t, size_t, Isa);

const char* FlawOf(const FullyConnectedTwoOfFourWeights& packed, size_t out_channels,
                   size_t in_channels) {
  const uint64_t padded = RoundUp(out_channels, kFullyConnectedGroup);
  const size_t quads = CeilDiv(in_channels, 4);
  // Places have two bits each: all of them are inside their four columns.
  if (packed.in_channels != in_channels || packed.out_channels != out_channels ||
      packed.value.size() != padded * quads * 2 ||
      packed.place.size() != padded * CeilDiv(quads, kFullyConnectedQuads) ||
      packed.bias.size() != padded)
    return kOtherSizes;
  return AllFinite(packed.value) && AllFinite(packed.bias) ? nullptr : kNotFinite;
}

}  // namespace sparsenas
