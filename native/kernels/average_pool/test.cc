#include "kernels/average_pool/average_pool.h"

#include "kernels/tensor.h"
#include "testing/check.h"
#include "testing/guarded.h"

using namespace sparsenas;

namespace {

void TestShape(const Kernel<PoolArgs>& kernel, size_t k, size_t stride, size_t padding,
               size_t channels, size_t height, size_t width, size_t extra_stride,
               Activation activation, Guard guard, Random& random) {
  const size_t out_height = WindowsAlong(height, k, stride, padding);
  const size_t out_width = WindowsAlong(width, k, stride, padding);
  const size_t in_stride = PlaneStride(height, width);
  const size_t out_stride = PlaneStride(out_height, out_width) + extra_stride;
  GuardedArray<float> in(channels * in_stride, guard);  // The padding stays NaN.
  GuardedArray<float> out(channels * out_stride, guard);
  std::normal_distribution<float> normal(0, 3);
  for (size_t c = 0; c < channels; ++c) {
    for (size_t p = 0; p < height * width; ++p) in[c * in_stride + p] = normal(random);
  }
  kernel.run({k, stride, padding, channels, height, width, in_stride, out_stride, in.data(),
              out.data(), ActivationOf(activation)});

  for (size_t c = 0; c < channels; ++c) {
    for (size_t y = 0; y < out_height; ++y) {
      for (size_t x = 0; x < out_width; ++x) {
        std::vector<float> window;
        for (size_t r = 0; r < k; ++r) {
          for (size_t s = 0; s < k; ++s) {
            // Below zero becomes large.
            const size_t in_y = y * stride + r - padding, in_x = x * stride + s - padding;
            if (in_y < height && in_x < width)
              window.push_back(in[c * in_stride + in_y * width + in_x]);
          }
        }
        ExactSum sum;
        for (const float pixel : window)
          sum.Add(static_cast<double>(pixel) / static_cast<double>(window.size()));
        const float got = out[c * out_stride + y * out_width + x];
        Expect(sum.Matches(got, activation),
               "%s: K=%zu S=%zu P=%zu C=%zu %zux%zu: expected %g before the activation, found %g "
               "at c=%zu "
               "y=%zu x=%zu",
               kernel.name, k, stride, padding, channels, height, width, sum.value,
               static_cast<double>(got), c, y, x);
      }
    }
  }
}

}  // namespace

int main() {
  Random random(9);
  ForEachKernel(AveragePoolKernels(), [&](const auto& kernel) {
    size_t i = 0;
    const auto test = [&](size_t height, size_t width) {
      for (const size_t k : {1, 2, 3, 4, 5}) {
        for (const size_t stride : {1, 2, 3}) {
          const size_t padding = i / 2 % (k / 2 + 1);
          ++i;
          if (WindowsAlong(height, k, stride, padding) == 0) continue;
          if (WindowsAlong(width, k, stride, padding) == 0) continue;
          for (const Guard guard : {Guard::kBefore, Guard::kAfter}) {
            TestShape(kernel, k, stride, padding, 1 + i % 3, height, width, i % 5 == 4 ? 16 : 0,
                      kActivations[i % 7], guard, random);
            ++i;
          }
        }
      }
    };
    // Widths around one and two vectors of every instruction set and stride.
    for (size_t width = 1; width <= 67; ++width) test(1 + width % 6, width);
    for (const size_t width : {1, 2, 3, 7, 8}) {
      for (size_t height = 1; height <= 8; ++height) test(height, width);
    }
    test(16, 16);
    test(28, 28);
    test(56, 56);
  });

  CheckPool("average_pool", 3, 2, 1, 1, 1);
  ExpectFails("average_pool: expected a kernel and a stride of at least 1, found 0 and 2",
              [&] { CheckPool("average_pool", 0, 2, 0, 8, 8); });
  ExpectFails("expected a window to fit in the image, found kernel 4 for 3x8 pixels",
              [&] { CheckPool("average_pool", 4, 2, 0, 3, 8); });
  ExpectFails("expected at most 1 pixels of padding, half of the kernel, found 2",
              [&] { CheckPool("average_pool", 3, 2, 2, 8, 8); });
  return Report();
}
