#include "kernels/multiply/multiply.h"

#include "kernels/tensor.h"
#include "testing/check.h"
#include "testing/guarded.h"

using namespace sparsenas;

namespace {

void TestShape(const Kernel<MultiplyArgs>& kernel, size_t channels, size_t pixels, bool broadcast,
               bool in_place, Activation activation, Guard guard, Random& random) {
  const size_t stride = PlaneStride(1, pixels);
  const size_t b_pixels = broadcast ? 1 : pixels, b_stride = broadcast ? 1 : stride + 16;
  const size_t out_stride = in_place ? stride : stride + 32;
  const std::vector<float> a_values = RandomFloats(channels * stride, random);
  GuardedArray<float> a(a_values.data(), a_values.size(), guard);
  GuardedArray<float> b(channels * b_stride, guard);  // The padding stays NaN.
  GuardedArray<float> out(channels * out_stride, guard);
  std::normal_distribution<float> normal(0, 3);
  for (size_t c = 0; c < channels; ++c) {
    for (size_t p = 0; p < b_pixels; ++p) b[c * b_stride + p] = normal(random);
  }
  float* result = in_place ? a.data() : out.data();
  kernel.run({channels, pixels, b_pixels, stride, b_stride, out_stride, a.data(), b.data(), result,
              ActivationOf(activation)});
  for (size_t c = 0; c < channels; ++c) {
    for (size_t p = 0; p < pixels; ++p) {
      ExactSum sum;
      sum.Add(static_cast<double>(a_values[c * stride + p]) *
              b[c * b_stride + (broadcast ? 0 : p)]);
      const float got = result[c * out_stride + p];
      Expect(sum.Matches(got, activation),
             "%s: C=%zu P=%zu: expected %g before the activation, found %g at c=%zu p=%zu",
             kernel.name, channels, pixels, sum.value, static_cast<double>(got), c, p);
    }
  }
}

}  // namespace

int main() {
  Random random(7);
  ForEachKernel(MultiplyKernels(), [&](const auto& kernel) {
    size_t i = 0;
    for (size_t pixels = 1; pixels <= 50; ++pixels) {
      for (const Guard guard : {Guard::kBefore, Guard::kAfter}) {
        for (const bool broadcast : {false, true}) {
          for (const bool in_place : {false, true}) {
            TestShape(kernel, 1 + i % 4, pixels, broadcast, in_place, kActivations[i % 7], guard,
                      random);
            ++i;
          }
        }
      }
    }
  });
  return Report();
}
