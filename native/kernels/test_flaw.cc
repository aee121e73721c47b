// Tests that packed weights are found sound as they were packed, and flawed where an array is too
// short, a float is not finite, or a size or an index is that of something else.
#include "kernels/flaw.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "kernels/conv1x1/conv1x1.h"
#include "kernels/conv_dense/conv_dense.h"
#include "kernels/conv_direct/conv_direct.h"
#include "kernels/conv_hwc/conv_hwc.h"
#include "kernels/conv_pattern/conv_pattern.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/fully_connected/fully_connected.h"
#include "testing/check.h"

namespace {

using namespace sparsenas;

constexpr size_t kOut = 21, kIn = 26;

// Two nonzeros in each nine columns of each row, and in no four columns more than two.
struct Sparse {
  std::vector<uint32_t> counts, column;
  std::vector<float> value;
  SparseRows rows;

  explicit Sparse(size_t columns) {
    for (size_t d = 0; d < kOut; ++d) {
      counts.push_back(0);
      for (size_t c = 0; c < columns; ++c) {
        if (c % 9 != 3 && c % 9 != (d + c / 9) % 3) continue;
        ++counts.back();
        column.push_back(static_cast<uint32_t>(c));
        value.push_back(1.0f + static_cast<float>(c));
      }
    }
    rows = {kOut, columns, value.size(), counts.data(), column.data(), value.data()};
  }
};

template <class T>
AlignedArray<T> Copy(const AlignedArray<T>& array) {
  AlignedArray<T> copy(array.size());
  std::copy_n(array.data(), array.size(), copy.data());
  return copy;
}

// Changes one array in turn; `flaw` is called with the weights it belongs to.
template <class T, class Flaw>
void TestArray(const char* name, AlignedArray<T>& array, const Flaw& flaw) {
  Expect(array.size() > 0, "%s: arrays have something in them", name);
  const AlignedArray<T> whole = Copy(array);
  array = AlignedArray<T>::Borrow(whole.data(), whole.size() - 1);
  Expect(flaw() != nullptr, "%s: an array with one element fewer", name);
  array = Copy(whole);
  if constexpr (std::is_same_v<T, float>) {
    for (const size_t i : {size_t{0}, array.size() - 1}) {
      array[i] = std::numeric_limits<float>::infinity();
      Expect(flaw() == kNotFinite, "%s: a float that is not finite", name);
      array = Copy(whole);
    }
  }
  Expect(flaw() == nullptr, "%s: as before", name);
}

template <class Weights, class Flaw>
void TestWeights(const char* name, Weights& weights, const Flaw& flaw) {
  Expect(flaw() == nullptr, "%s: sound as packed, found %s", name,
         flaw() == nullptr ? "nothing" : flaw());
  const auto change = [&](auto& field) {
    if constexpr (std::is_same_v<std::decay_t<decltype(field)>, size_t>) {
      const size_t size = field;
      field = 0;
      Expect(flaw() != nullptr, "%s: a size of 0", name);
      field = size;
    } else {
      TestArray(name, field, flaw);
    }
  };
  std::apply([&](auto&... field) { (change(field), ...); }, Weights::Fields(weights));
}

// Sets a number for as long as `flaw` is asked.
template <class T, class Flaw>
void With(const char* name, T& number, T wrong, const char* expected, const Flaw& flaw) {
  const T right = number;
  number = wrong;
  const char* found = flaw();
  number = right;
  Expect(found != nullptr && std::string(found) == expected, "%s: expected '%s', found '%s'", name,
         expected, found == nullptr ? "nothing" : found);
}

template <int kRows>
void TestConv1x1Sparse(const float* bias) {
  const Sparse sparse(kIn);
  auto packed = PackConv1x1Block<kRows>(sparse.rows, bias, 64, 49, DefaultIsa());
  const auto flaw = [&] { return FlawOf(packed, kOut, kIn, 64); };
  TestWeights("conv1x1 sparse", packed, flaw);
  uint64_t& offsets = packed.steps[1].offsets;
  With("conv1x1 beyond", offsets, uint64_t{kIn * 64 * 4}, kOutsideInput, flaw);
  With("conv1x1 beyond", offsets, uint64_t{kIn * 64 * 4} << 32, kOutsideInput, flaw);
  With("conv1x1 between", offsets, uint64_t{4}, kOutsideInput, flaw);
  With("conv1x1 counts", packed.counts[0], UINT32_MAX, kOtherSum, flaw);
  With("conv1x1 weight", packed.steps[0].value[1][0], NAN, kNotFinite, flaw);
  Expect(FlawOf(packed, kOut, kIn, 80) == kOtherSizes, "another stride");
}

void TestConvolutions(const std::vector<float>& weight, const float* bias, Isa isa) {
  auto dense = PackConvDense(weight.data(), bias, kOut, kIn, 3, 49, isa);
  const auto dense_flaw = [&] { return FlawOf(dense, kOut, kIn, 3, isa); };
  TestWeights("conv_dense", dense, dense_flaw);
  With("conv_dense tap", dense.taps[0].tap, 9u, kOutsideInput, dense_flaw);
  With("conv_dense channel", dense.taps[5].channel, uint32_t{kIn}, kOutsideInput, dense_flaw);
  With("conv_dense panel", dense.part_taps[0], UINT32_MAX, kOtherSizes, dense_flaw);
  With("conv_dense pitch", dense.pitch, size_t{1} << 20, kOtherSizes, dense_flaw);

  const Sparse sparse(kIn * 9);
  auto direct = PackConvDirect(sparse.rows, bias, 3, 49, isa);
  const auto direct_flaw = [&] { return FlawOf(direct, kOut, kIn, 3, isa); };
  TestWeights("conv_direct", direct, direct_flaw);
  With("conv_direct tap", direct.taps[0].tap, 9u, kOutsideInput, direct_flaw);
  With("conv_direct channel", direct.rows[0].channel, uint32_t{kOut},
       "an output channel beyond the last", direct_flaw);
  With("conv_direct channels", direct.rows[0].channel, direct.rows[1].channel,
       "output channels left out", direct_flaw);
  With("conv_direct rows", direct.part[0].rows, 0u, kOtherSum, direct_flaw);
  With("conv_direct nonzeros", direct.rows[0].nonzeros, UINT32_MAX, kOtherSum, direct_flaw);
  With("conv_direct offset", direct.nonzeros[0].offset[0], uint16_t{0xffff}, kOutsideInput,
       direct_flaw);
  With("conv_direct between", direct.nonzeros[0].offset[1], uint16_t{4}, kOutsideInput,
       direct_flaw);
  With("conv_direct weight", direct.nonzeros[0].value[1], NAN, kNotFinite, direct_flaw);

  for (const size_t stride : {1, 2}) {
    auto pattern = PackConvPattern(sparse.rows, bias, 7, 7, stride, isa);
    const auto pattern_flaw = [&] { return FlawOf(pattern, kOut, kIn, 7, 7, stride, isa); };
    TestWeights("conv_pattern", pattern, pattern_flaw);
    With("conv_pattern runs", pattern.runs_of[0], 0u, kOtherSum, pattern_flaw);
    With("conv_pattern groups", pattern.runs[0].groups, UINT32_MAX, kOtherSum, pattern_flaw);
    With("conv_pattern channel", pattern.runs[0].channel, 4u, kOutsideInput, pattern_flaw);
    if (ConvPatternHoldsNine(isa)) {
      With("conv_pattern number", pattern.groups[0].pattern, uint32_t{kConvPatterns}, kOutsideInput,
           pattern_flaw);
      With("conv_pattern kernels", pattern.groups[0].kernels, UINT32_MAX, kOtherSum, pattern_flaw);
    } else {
      ConvPatternFour& four = pattern.fours[0];
      With("conv_pattern beyond", four.tap[3], UINT32_MAX - 3, kOutsideInput, pattern_flaw);
      With("conv_pattern between", four.tap[0], four.tap[0] + 1, kOutsideInput, pattern_flaw);
      With("conv_pattern kernels", four.kernels, UINT32_MAX, kOtherSum, pattern_flaw);
    }
    With("conv_pattern row", pattern.kernels[0].row, uint32_t{kOut},
         "an output channel beyond the last", pattern_flaw);
    With("conv_pattern weight", pattern.kernels[0].weight[2], NAN, kNotFinite, pattern_flaw);
  }
}

void TestFullyConnected(const std::vector<float>& weight, const float* bias, Isa isa) {
  auto dense = PackFullyConnectedDense(weight.data(), bias, kOut, kIn);
  TestWeights("fully_connected dense", dense, [&] { return FlawOf(dense, kOut, kIn); });
  const Sparse sparse(kIn);
  auto two_of_four = PackFullyConnectedTwoOfFour(sparse.rows, bias);
  TestWeights("fully_connected 2:4", two_of_four, [&] { return FlawOf(two_of_four, kOut, kIn); });
  const auto test = [&](auto packed) {
    const auto flaw = [&] { return FlawOf(packed, kOut, kIn, isa); };
    TestWeights("fully_connected sparse", packed, flaw);
    With("fully_connected window", packed.window[0], uint32_t{kIn}, kOutsideInput, flaw);
    With("fully_connected index", packed.index[0], uint8_t{kIn}, kOutsideInput, flaw);
    With("fully_connected counts", packed.counts[0], 0u, kOtherSum, flaw);
    With("fully_connected order", packed.order[0], uint32_t{kOut}, "output channels left out",
         flaw);
    With("fully_connected order", packed.order[0], packed.order[1], "output channels left out",
         flaw);
  };
  test(PackFullyConnectedUnstructured(sparse.rows, bias, isa));
  test(PackFullyConnectedBlock4(sparse.rows, bias, isa));
}

}  // namespace

int main() {
  const std::vector<float> weight(kOut * kIn * 9, 0.5f), bias(kOut, 0.25f);
  auto conv1x1 = PackConv1x1Dense(weight.data(), bias.data(), kOut, kIn);
  TestWeights("conv1x1 dense", conv1x1, [&] { return FlawOf(conv1x1, kOut, kIn); });
  TestConv1x1Sparse<1>(bias.data());
  TestConv1x1Sparse<2>(bias.data());
  TestConv1x1Sparse<4>(bias.data());
  auto depthwise = PackDepthwise(weight.data(), bias.data(), kOut, 3);
  TestWeights("depthwise", depthwise, [&] { return FlawOf(depthwise, kOut, 3); });
  auto conv_hwc = PackConvHwc(weight.data(), bias.data(), kOut, 3, 5);
  TestWeights("conv_hwc", conv_hwc, [&] { return FlawOf(conv_hwc, kOut, 3, 5); });
  for (const Isa isa : MachineIsas()) {
    TestConvolutions(weight, bias.data(), isa);
    TestFullyConnected(weight, bias.data(), isa);
  }
  return Report();
}
