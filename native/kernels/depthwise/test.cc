#include "kernels/depthwise/depthwise.h"

#include "kernels/tensor.h"
#include "testing/check.h"
#include "testing/guarded.h"

using namespace sparsenas;

namespace {

void TestShape(const Kernel<DepthwiseArgs>& kernel, size_t k, size_t channels, size_t height,
               size_t width, size_t stride, size_t extra_stride, Activation activation, Guard guard,
               Random& random) {
  const size_t out_height = OutSide(height, stride), out_width = OutSide(width, stride);
  const size_t in_stride = PlaneStride(height, width);
  const size_t out_stride = PlaneStride(out_height, out_width) + extra_stride;
  const DepthwiseWeights packed = PackDepthwise(RandomFloats(k * k * channels, random).data(),
                                                RandomFloats(channels, random).data(), channels, k);
  const GuardedArray<float> weight(packed.weight, guard), bias(packed.bias, guard);
  GuardedArray<float> in(channels * in_stride, guard);  // The padding stays NaN.
  GuardedArray<float> out(channels * out_stride, guard);
  std::normal_distribution<float> normal;
  for (size_t c = 0; c < channels; ++c) {
    for (size_t p = 0; p < height * width; ++p) in[c * in_stride + p] = normal(random);
  }
  DepthwiseArgs args;
  packed.Fill(args);
  args.weight = weight.data();
  args.bias = bias.data();
  args.height = height;
  args.width = width;
  args.stride = stride;
  args.in_stride = in_stride;
  args.out_stride = out_stride;
  args.in = in.data();
  args.out = out.data();
  args.activation = ActivationOf(activation);
  kernel.run(args);

  for (size_t c = 0; c < channels; ++c) {
    for (size_t y = 0; y < out_height; ++y) {
      for (size_t x = 0; x < out_width; ++x) {
        ExactSum sum;
        sum.Add(bias[c]);
        for (size_t r = 0; r < k; ++r) {
          for (size_t s = 0; s < k; ++s) {
            // Below zero becomes large.
            const size_t in_y = y * stride + r - k / 2, in_x = x * stride + s - k / 2;
            if (in_y < height && in_x < width)
              sum.Add(static_cast<double>(weight[(c * k + r) * k + s]) *
                      in[c * in_stride + in_y * width + in_x]);
          }
        }
        const float got = out[c * out_stride + y * out_width + x];
        Expect(sum.Matches(got, activation),
               "%s: K=%zu C=%zu %zux%zu stride %zu: expected %g before the activation, found %g at "
               "c=%zu "
               "y=%zu "
               "x=%zu",
               kernel.name, k, channels, height, width, stride, sum.value, static_cast<double>(got),
               c, y, x);
      }
    }
  }
}

}  // namespace

int main() {
  Random random(2);
  ForEachKernel(DepthwiseKernels(), [&](const auto& kernel) {
    size_t i = 0;
    const auto test = [&](size_t height, size_t width) {
      for (const size_t k : {3, 5, 7}) {
        for (const size_t stride : {1, 2}) {
          const Guard guard = i % 2 == 0 ? Guard::kBefore : Guard::kAfter;
          TestShape(kernel, k, 1 + i % 3, height, width, stride, i % 5 == 4 ? 16 : 0,
                    kActivations[i % 7], guard, random);
          ++i;
        }
      }
      ++i;  // So that each sees both guards.
    };
    // Every width around one and two vectors of every instruction set and stride, and short planes,
    // where a vector is longer than what is left of the plane.
    for (size_t width = 1; width <= 67; ++width) {
      for (const size_t height : {1, 2, 3, 4, 5, 6, 7, 9}) test(height, width);
    }
    for (const size_t side : {7, 8, 14, 16, 28, 32, 33, 56, 97, 112}) {
      test(side, side);
      test(side, side);
    }
    test(112, 1);
    test(1, 300);
    // As wide as a loop over rows goes, and wider.
    test(3, 1024);
    test(3, 1025);
  });

  const std::vector<float> values(10, 1.0f);
  std::vector<float> nan = values;
  nan[8] = std::nanf("");
  ExpectFails("expected finite weights, found nan at index 8",
              [&] { PackDepthwise(nan.data(), values.data(), 1, 3); });
  ExpectFails("expected finite biases", [&] { PackDepthwise(values.data(), &nan[8], 1, 3); });
  ExpectFails("expected a 3x3, 5x5 or 7x7 kernel, found 2x2",
              [&] { PackDepthwise(values.data(), values.data(), 1, 2); });
  ExpectFails("expected at least one channel",
              [&] { PackDepthwise(values.data(), values.data(), 0, 3); });
  return Report();
}
