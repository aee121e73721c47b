#include "kernels/global_average_pool/global_average_pool.h"

#include "kernels/tensor.h"
#include "testing/check.h"
#include "testing/guarded.h"

using namespace sparsenas;

namespace {

void TestShape(const Kernel<GlobalAveragePoolArgs>& kernel, size_t channels, size_t pixels,
               size_t out_stride, Activation activation, Guard guard, Random& random) {
  const size_t in_stride = PlaneStride(1, pixels);
  GuardedArray<float> in(channels * in_stride, guard);  // The padding stays NaN.
  GuardedArray<float> out((channels - 1) * out_stride + 1, guard);
  std::normal_distribution<float> normal;
  for (size_t c = 0; c < channels; ++c) {
    for (size_t p = 0; p < pixels; ++p) in[c * in_stride + p] = normal(random);
  }
  kernel.run(
      {channels, pixels, in_stride, out_stride, in.data(), out.data(), ActivationOf(activation)});
  for (size_t c = 0; c < channels; ++c) {
    ExactSum sum;
    for (size_t p = 0; p < pixels; ++p)
      sum.Add(static_cast<double>(in[c * in_stride + p]) / static_cast<double>(pixels));
    const float got = out[c * out_stride];
    Expect(sum.Matches(got, activation),
           "%s: C=%zu P=%zu: expected %g before the activation, found %g at c=%zu", kernel.name,
           channels, pixels, sum.value, static_cast<double>(got), c);
  }
}

}  // namespace

int main() {
  Random random(5);
  ForEachKernel(GlobalAveragePoolKernels(), [&](const auto& kernel) {
    size_t i = 0;
    for (size_t pixels = 1; pixels <= 150; ++pixels) {
      for (const Guard guard : {Guard::kBefore, Guard::kAfter}) {
        TestShape(kernel, 1 + i % 4, pixels, i % 2 == 0 ? 1 : 16, kActivations[i % 7], guard,
                  random);
        ++i;
      }
    }
    TestShape(kernel, 3, 112 * 112, 1, Activation::kNone, Guard::kAfter, random);
  });
  return Report();
}
