#include "kernels/conv_hwc/conv_hwc.h"

#include <algorithm>

#include "kernels/tensor.h"
#include "testing/check.h"
#include "testing/guarded.h"

using namespace sparsenas;

namespace {

void TestShape(const Kernel<ConvHwcArgs>& kernel, size_t k, size_t in_channels, size_t out_channels,
               size_t height, size_t width, size_t stride, size_t padding, size_t extra_stride,
               Activation activation, Guard guard, Random& random) {
  const size_t out_height = WindowsAlong(height, k, stride, padding);
  const size_t out_width = WindowsAlong(width, k, stride, padding);
  if (out_height == 0 || out_width == 0) return;
  const size_t out_stride = PlaneStride(out_height, out_width) + extra_stride;
  const std::vector<float> weight = RandomFloats(out_channels * k * k * in_channels, random);
  const std::vector<float> bias = RandomFloats(out_channels, random);
  const ConvHwcWeights packed =
      PackConvHwc(weight.data(), bias.data(), out_channels, in_channels, k);
  const GuardedArray<float> packed_weight(packed.weight, guard), packed_bias(packed.bias, guard);
  const std::vector<float> image = RandomFloats(height * width * in_channels, random);
  const GuardedArray<float> in(image.data(), image.size(), guard);
  GuardedArray<float> out(out_channels * out_stride, guard);
  GuardedArray<float> scratch(ConvHwcScratchFloats(width, in_channels, k, stride, padding), guard);
  ConvHwcArgs args;
  packed.Fill(args);
  args.weight = packed_weight.data();
  args.bias = packed_bias.data();
  args.height = height;
  args.width = width;
  args.stride = stride;
  args.padding = padding;
  args.out_stride = out_stride;
  args.in = in.data();
  args.out = out.data();
  args.scratch = scratch.data();
  args.activation = ActivationOf(activation);
  // In shares, from the last to the first: none touches the rows of another.
  for (args.shares = 1 + random() % std::min(out_height, size_t{3}), args.share = args.shares;
       args.share-- > 0;)
    kernel.run(args);

  for (size_t d = 0; d < out_channels; ++d) {
    for (size_t y = 0; y < out_height; ++y) {
      for (size_t x = 0; x < out_width; ++x) {
        ExactSum sum;
        sum.Add(bias[d]);
        for (size_t r = 0; r < k; ++r) {
          for (size_t s = 0; s < k; ++s) {
            // Below zero becomes large.
            const size_t in_y = y * stride + r - padding, in_x = x * stride + s - padding;
            if (in_y >= height || in_x >= width) continue;
            for (size_t c = 0; c < in_channels; ++c)
              sum.Add(static_cast<double>(weight[((d * k + r) * k + s) * in_channels + c]) *
                      in[(in_y * width + in_x) * in_channels + c]);
          }
        }
        const float got = out[d * out_stride + y * out_width + x];
        Expect(sum.Matches(got, activation),
               "%s: K=%zu C=%zu D=%zu %zux%zu stride %zu padding %zu: expected %g before the "
               "activation, found "
               "%g at "
               "d=%zu "
               "y=%zu x=%zu",
               kernel.name, k, in_channels, out_channels, height, width, stride, padding, sum.value,
               static_cast<double>(got), d, y, x);
      }
    }
  }
}

}  // namespace

int main() {
  Random random(3);
  ForEachKernel(ConvHwcKernels(), [&](const auto& kernel) {
    size_t i = 0;
    const auto test = [&](size_t height, size_t width) {
      for (const size_t k : {3, 5, 7}) {
        for (const size_t stride : {1, 2}) {
          const Guard guard = i % 2 == 0 ? Guard::kBefore : Guard::kAfter;
          const size_t out_channels = std::vector<size_t>{1, 4, 8, 9, 12, 16, 7}[i % 7];
          TestShape(kernel, k, 1 + i % 5, out_channels, height, width, stride, k / 2,
                    i % 5 == 4 ? 16 : 0, kActivations[i % 7], guard, random);
          ++i;
        }
      }
      // Any stride and padding there may be, in turn.
      const size_t k = std::vector<size_t>{11, 7, 5, 3}[i % 4];
      const Guard guard = i % 3 == 0 ? Guard::kBefore : Guard::kAfter;
      TestShape(kernel, k, 1 + i % 3, 1 + i % 9, height, width, 1 + i / 2 % kConvHwcMostStride,
                i % (k / 2 + 1), 0, kActivations[i % 7], guard, random);
      ++i;  // So that each sees both guards.
    };
    // Widths around every number of vectors in a tile, for both strides; short planes.
    for (const size_t lanes : {4, 8, 16}) {
      for (size_t vectors = 1; vectors <= 8; ++vectors) {
        for (const size_t width : {vectors * lanes - 1, vectors * lanes, vectors * lanes + 1}) {
          test(1 + i % 3, width);
          test(4 + i % 3, width);
        }
      }
    }
    for (const size_t width : {1, 2, 3, 5}) {
      for (const size_t height : {1, 2, 3, 4, 6, 9}) test(height, width);
    }
    test(32, 32);
    test(33, 17);
    // AlexNet's.
    TestShape(kernel, 11, 3, 16, 43, 227, 4, 2, 0, Activation::kRelu, Guard::kAfter, random);
  });

  const std::vector<float> values(27, 1.0f);
  std::vector<float> nan = values;
  nan[26] = -INFINITY;
  ExpectFails("expected finite weights, found -inf at index 26",
              [&] { PackConvHwc(nan.data(), values.data(), 1, 3, 3); });
  ExpectFails("expected finite biases", [&] { PackConvHwc(values.data(), &nan[26], 1, 3, 3); });
  ExpectFails("expected a 3x3, 5x5, 7x7 or 11x11 kernel, found 9x9",
              [&] { PackConvHwc(values.data(), values.data(), 1, 3, 9); });
  ExpectFails("expected at least one channel",
              [&] { PackConvHwc(values.data(), values.data(), 1, 0, 3); });
  return Report();
}
