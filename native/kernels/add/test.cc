#include "kernels/add/add.h"

#include "kernels/tensor.h"
#include "testing/check.h"
#include "testing/guarded.h"

using namespace sparsenas;

namespace {

void TestShape(const Kernel<AddArgs>& kernel, size_t channels, size_t pixels, bool in_place,
               Activation activation, Guard guard, Random& random) {
  const size_t stride = PlaneStride(1, pixels);
  const size_t b_stride = stride + 16, out_stride = in_place ? stride : stride + 32;
  const std::vector<float> a_values = RandomFloats(channels * stride, random);
  GuardedArray<float> a(a_values.data(), a_values.size(), guard);
  GuardedArray<float> b(channels * b_stride, guard);  // The padding stays NaN.
  GuardedArray<float> out(channels * out_stride, guard);
  std::normal_distribution<float> normal(0, 3);
  for (size_t c = 0; c < channels; ++c) {
    for (size_t p = 0; p < pixels; ++p) b[c * b_stride + p] = normal(random);
  }
  float* result = in_place ? a.data() : out.data();
  kernel.run({channels, pixels, stride, b_stride, out_stride, a.data(), b.data(), result,
              ActivationOf(activation)});
  for (size_t c = 0; c < channels; ++c) {
    for (size_t p = 0; p < pixels; ++p) {
      ExactSum sum;
      sum.Add(a_values[c * stride + p]);
      sum.Add(b[c * b_stride + p]);
      const float got = result[c * out_stride + p];
      Expect(sum.Matches(got, activation),
             "%s: C=%zu P=%zu: expected %g before the activation, found %g at c=%zu p=%zu",
             kernel.name, channels, pixels, sum.value, static_cast<double>(got), c, p);
    }
  }
}

// What the curves make of numbers of any size, as sums with zero.
void TestCurves(const Kernel<AddArgs>& kernel) {
  std::vector<float> values = {0.0f, -0.0f, 1e-30f, -1e-30f, 1e30f, -1e30f, 3e38f, -3e38f};
  for (float x = -130.0f; x < 130.0f; x += 0.0371f) values.push_back(x);
  values.resize(RoundUp(values.size(), 16));
  const size_t size = values.size();
  const GuardedArray<float> a(values.data(), size, Guard::kAfter);
  const std::vector<float> zeros(size);
  const GuardedArray<float> b(zeros.data(), size, Guard::kAfter);
  GuardedArray<float> out(size, Guard::kAfter);
  for (const Activation activation : kActivations) {
    kernel.run(
        {1, size, size, size, size, a.data(), b.data(), out.data(), ActivationOf(activation)});
    for (size_t i = 0; i < size; ++i) {
      const double x = static_cast<double>(values[i]), want = Activate(x, activation);
      // Where a curve is close to zero on the left: that of the hard ones is the rounding of x + 3,
      // times x at most, and exp(-x) is stopped at exp(87).
      const bool hard =
          activation == Activation::kHardSwish || activation == Activation::kHardSigmoid;
      const double slack = hard && std::fabs(x) < 4 ? 1e-6 : 1e-35;
      Expect(std::fabs(out[i] - want) <= 1e-6 * std::fabs(want) + slack,
             "%s: activation %d: expected %g for %g, found %g", kernel.name,
             static_cast<int>(activation), want, x, static_cast<double>(out[i]));
    }
  }
}

}  // namespace

int main() {
  Random random(4);
  ForEachKernel(AddKernels(), [&](const auto& kernel) {
    TestCurves(kernel);
    size_t i = 0;
    for (size_t pixels = 1; pixels <= 50; ++pixels) {
      for (const Guard guard : {Guard::kBefore, Guard::kAfter}) {
        TestShape(kernel, 1 + i % 4, pixels, i % 2 == 0, kActivations[i % 7], guard, random);
        TestShape(kernel, 1 + i % 4, pixels, i % 2 == 1, kActivations[i % 7], guard, random);
        ++i;
      }
    }
  });
  return Report();
}
