#include "kernels/flaw.h"

#include "kernels/conv1x1/conv1x1.h"

namespace sparsenas {

const char* FlawOf(const Conv1x1DenseWeights& packed, size_t out_channels, size_t in_channels) {
  const uint64_t padded = RoundUp(out_channels, kConv1x1Group);
  // A block may be more than there are; sums of two must not wrap.
  if (packed.in_channels != in_channels || packed.out_channels != out_channels ||
      packed.block == 0 || packed.block % kConv1x1Group != 0 || packed.block > size_t{1} << 30 ||
      packed.weight.size() != padded * in_channels || packed.bias.size() != padded)
    return kOtherSizes;
  return AllFinite(packed.weight) && AllFinite(packed.bias) ? nullptr : kNotFinite;
}

template <int kRows>
const char* FlawOf(const Conv1x1SparseWeights<kRows>& packed, size_t out_channels,
                   size_t in_channels, size_t in_stride) {
  const size_t blocks = CeilDiv(out_channels, kRows);
  if (packed.in_channels != in_channels || packed.out_channels != out_channels ||
      packed.in_stride != in_stride || packed.tile == 0 || packed.parts == 0 ||
      packed.parts > in_channels || packed.counts.size() != packed.parts * blocks ||
      packed.bias.size() != blocks * kRows)
    return kOtherSizes;
  uint64_t steps = 0;
  for (size_t i = 0; i < packed.counts.size(); ++i) steps += (uint64_t{packed.counts[i]} + 1) / 2;
  if (steps != packed.steps.size()) return kOtherSum;
  // In bytes; below 4 GiB, as PackConv1x1Block makes sure.
  if (in_stride * sizeof(float) > UINT32_MAX / in_channels) return kOtherSizes;
  const uint32_t apart = static_cast<uint32_t>(in_stride * sizeof(float));
  const uint32_t end = apart * static_cast<uint32_t>(in_channels);
  for (size_t i = 0; i < packed.steps.size(); ++i) {
    const Conv1x1Step<kRows>& step = packed.steps[i];
    const uint32_t first = static_cast<uint32_t>(step.offsets);
    const uint32_t second = static_cast<uint32_t>(step.offsets >> 32);
    if (first >= end || second >= end || first % apart != 0 || second % apart != 0)
      return kOutsideInput;
    if (!AllFinite(step.value[0], 2 * kRows)) return kNotFinite;
  }
  return AllFinite(packed.bias) ? nullptr : kNotFinite;
}

template const char* FlawOf(const Conv1x1UnstructuredWeights&, size_t, size_t, size_t);
template const char* FlawOf(const Conv1x1Block2Weights&, size_t, size_t, size_t);
template const char* FlawOf(const Conv1x1Block4Weights&, size_t, size_t, size_t);

}  // namespace sparsenas
