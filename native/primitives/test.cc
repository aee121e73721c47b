#include <algorithm>
#include <limits>

#include "primitives/batch_norm.h"
#include "primitives/convolution.h"
#include "primitives/depthwise.h"
#include "primitives/pointwise.h"
#include "testing/check.h"
#include "testing/guarded.h"

using namespace sparsenas;

namespace {

// Parts in the reverse order, as threads may take them.
class Backwards : public Executor {
 public:
  void Run(size_t count, const std::function<void(size_t)>& work) override {
    while (count-- > 0) work(count);
  }
};

void ExpectSums(const char* what, const GuardedArray<float>& got, const std::vector<ExactSum>& want,
                const WindowShape& s) {
  for (size_t i = 0; i < want.size(); ++i) {
    Expect(want[i].Matches(got[i], Activation::kNone),
           "%s: %zux%zux%zu, kernel %zu, stride %zu: expected %g, found %g at %zu", what, s.height,
           s.width, s.channels, s.kernel, s.stride, want[i].value, static_cast<double>(got[i]), i);
  }
}

void TestDepthwise(const Primitives& primitives, size_t batch, const WindowShape& s, Guard guard,
                   Random& random) {
  const size_t c = s.channels, in = s.pixels() * c, out = s.out_pixels() * c;
  const size_t taps = s.kernel * s.kernel * c;
  const GuardedArray<float> x(RandomFloats(batch * in, random).data(), batch * in, guard);
  const GuardedArray<float> kernel(RandomFloats(taps, random).data(), taps, guard);
  const GuardedArray<float> g(RandomFloats(batch * out, random).data(), batch * out, guard);
  GuardedArray<float> y(batch * out, guard), gx(batch * in, guard), gkernel(taps, guard);
  Backwards executor;
  const DepthwiseFilter filter(primitives, batch, s, kernel.data());
  Apply(filter, x.data(), y.data(), executor);
  ApplyGradients(filter, x.data(), g.data(), gx.data(), gkernel.data(), executor);
  std::vector<ExactSum> want_y(batch * out), want_gx(batch * in), want_gkernel(taps);
  for (size_t n = 0; n < batch; ++n) {
    for (size_t i = 0; i < s.out_height() * s.kernel; ++i) {
      for (size_t j = 0; j < s.out_width() * s.kernel; ++j) {
        const size_t r = i % s.kernel, t = j % s.kernel;
        // Below zero becomes large.
        const size_t h = i / s.kernel * s.stride + r - s.kernel / 2;
        const size_t w = j / s.kernel * s.stride + t - s.kernel / 2;
        if (h >= s.height || w >= s.width) continue;
        for (size_t k = 0; k < c; ++k) {
          const size_t from = n * in + (h * s.width + w) * c + k, tap = (r * s.kernel + t) * c + k;
          const size_t to = n * out + (i / s.kernel * s.out_width() + j / s.kernel) * c + k;
          want_y[to].Add(double{x[from]} * kernel[tap]);
          want_gx[from].Add(double{g[to]} * kernel[tap]);
          want_gkernel[tap].Add(double{x[from]} * g[to]);
        }
      }
    }
  }
  ExpectSums("depthwise", y, want_y, s);
  ExpectSums("gradient of the input", gx, want_gx, s);
  ExpectSums("gradient of the kernel", gkernel, want_gkernel, s);
}

void TestPointwise(const Primitives& primitives, size_t pixels, size_t c, size_t d, Guard guard,
                   Random& random) {
  const GuardedArray<float> x(RandomFloats(pixels * c, random).data(), pixels * c, guard);
  const GuardedArray<float> weight(RandomFloats(c * d, random).data(), c * d, guard);
  const GuardedArray<float> g(RandomFloats(pixels * d, random).data(), pixels * d, guard);
  GuardedArray<float> y(pixels * d, guard), gx(pixels * c, guard), gweight(c * d, guard);
  Backwards executor;
  const PointwiseFilter filter(primitives, pixels, c, d, weight.data());
  Apply(filter, x.data(), y.data(), executor);
  ApplyGradients(filter, x.data(), g.data(), gx.data(), gweight.data(), executor);
  std::vector<ExactSum> want_y(pixels * d), want_gx(pixels * c), want_gweight(c * d);
  for (size_t p = 0; p < pixels; ++p) {
    for (size_t i = 0; i < c; ++i) {
      for (size_t j = 0; j < d; ++j) {
        want_y[p * d + j].Add(double{x[p * c + i]} * weight[i * d + j]);
        want_gx[p * c + i].Add(double{g[p * d + j]} * weight[i * d + j]);
        want_gweight[i * d + j].Add(double{x[p * c + i]} * g[p * d + j]);
      }
    }
  }
  const WindowShape shape = {pixels, 1, c, d, 1};
  ExpectSums("pointwise", y, want_y, shape);
  ExpectSums("gradient of the input", gx, want_gx, shape);
  ExpectSums("gradient of the weight", gweight, want_gweight, shape);
}

void TestConvolution(const Primitives& primitives, size_t batch, const WindowShape& s, size_t d,
                     Guard guard, Random& random) {
  const size_t c = s.channels, in = s.pixels() * c, out = s.out_pixels() * d;
  const size_t weights = s.kernel * s.kernel * c * d;
  const GuardedArray<float> x(RandomFloats(batch * in, random).data(), batch * in, guard);
  const GuardedArray<float> kernel(RandomFloats(weights, random).data(), weights, guard);
  const GuardedArray<float> g(RandomFloats(batch * out, random).data(), batch * out, guard);
  GuardedArray<float> y(batch * out, guard), gx(batch * in, guard), gkernel(weights, guard);
  Backwards executor;
  const ConvolutionFilter filter(primitives, batch, s, d, kernel.data());
  Apply(filter, x.data(), y.data(), executor);
  ApplyInputGradient(filter, g.data(), gx.data(), executor);
  ApplyWeightGradient(ConvolutionFilter(primitives, batch, s, d, nullptr), x.data(), g.data(),
                      gkernel.data(), executor);
  std::vector<ExactSum> want_y(batch * out), want_gx(batch * in), want_gkernel(weights);
  for (size_t n = 0; n < batch; ++n) {
    for (size_t i = 0; i < s.out_height() * s.kernel; ++i) {
      for (size_t j = 0; j < s.out_width() * s.kernel; ++j) {
        const size_t r = i % s.kernel, t = j % s.kernel;
        // Below zero becomes large.
        const size_t h = i / s.kernel * s.stride + r - s.kernel / 2;
        const size_t w = j / s.kernel * s.stride + t - s.kernel / 2;
        if (h >= s.height || w >= s.width) continue;
        for (size_t k = 0; k < c * d; ++k) {
          const size_t from = n * in + (h * s.width + w) * c + k / d;
          const size_t tap = (r * s.kernel + t) * c * d + k;
          const size_t to = n * out + (i / s.kernel * s.out_width() + j / s.kernel) * d + k % d;
          want_y[to].Add(double{x[from]} * kernel[tap]);
          want_gx[from].Add(double{g[to]} * kernel[tap]);
          want_gkernel[tap].Add(double{x[from]} * g[to]);
        }
      }
    }
  }
  ExpectSums("convolution", y, want_y, s);
  ExpectSums("gradient of the input", gx, want_gx, s);
  ExpectSums("gradient of the kernel", gkernel, want_gkernel, s);
}

// Filters with normalisation against one after the other.
void TestFilterNorm(const Primitives& primitives, const Filter& filter, NormActivation activation,
                    Guard guard, Random& random) {
  const size_t in = filter.units * filter.in_floats, out = filter.units * filter.out_floats;
  const size_t c = filter.channels;
  const BatchNormShape shape = {out / c, c, activation, 1e-3f};
  const GuardedArray<float> x(RandomFloats(in, random).data(), in, guard);
  const GuardedArray<float> g(RandomFloats(out, random).data(), out, guard);
  const std::vector<float> channels = RandomFloats(4 * c, random);
  const float *scale = channels.data(), *offset = scale + c, *g_mean = offset + c;
  Backwards executor;
  GuardedArray<float> z(out, guard), y(out, guard), gx(in, guard), gweight(filter.weights, guard);
  GuardedArray<float> own_z(out, guard), own_y(out, guard), own_gx(in, guard);
  GuardedArray<float> own_gweight(filter.weights, guard), gz(out, guard);
  std::vector<float> numbers(8 * c);
  float *mean = numbers.data(), *variance = mean + c, *gscale = variance + c, *goffset = gscale + c;
  float* own = numbers.data() + 4 * c;
  Apply(filter, x.data(), own_z.data(), executor);
  BatchNorm(primitives, shape, own_z.data(), scale, offset, own_y.data(), own, own + c, executor);
  BatchNormGradients(primitives, shape,
                     {own_z.data(), g.data(), scale, offset, own, own + c, g_mean, g_mean + c,
                      gz.data(), own + 2 * c, own + 3 * c},
                     executor);
  ApplyGradients(filter, x.data(), gz.data(), own_gx.data(), own_gweight.data(), executor);
  ApplyNorm(primitives, filter, shape,
            {x.data(), scale, offset, y.data(), z.data(), mean, variance}, executor);
  // With the same statistics, as near a bound a rounding error decides.
  ApplyNormGradients(primitives, filter, shape,
                     {{own_z.data(), g.data(), scale, offset, own, own + c, g_mean, g_mean + c,
                       nullptr, gscale, goffset},
                      x.data(),
                      gx.data(),
                      gweight.data()},
                     executor);
  const auto expect = [&](const char* what, const float* want, const float* got, size_t size) {
    float largest = 0;
    for (size_t i = 0; i < size; ++i) largest = std::max(largest, std::fabs(want[i]));
    // Sums of thousands of terms in another order.
    for (size_t i = 0; i < size; ++i)
      Expect(std::fabs(want[i] - got[i]) <= 3e-5f * (1 + largest),
             "%s with normalisation: expected %g, found %g at %zu", what, double{want[i]},
             double{got[i]}, i);
  };
  expect("output", own_y.data(), y.data(), out);
  expect("before it", own_z.data(), z.data(), out);
  expect("mean and variance", own, mean, 2 * c);
  expect("gradients of scale and offset", own + 2 * c, gscale, 2 * c);
  expect("gradient of the input", own_gx.data(), gx.data(), in);
  expect("gradient of the weight", own_gweight.data(), gweight.data(), filter.weights);
}

void ExpectClose(const char* what, double want, float got, double tolerance, size_t at) {
  Expect(std::fabs(got - want) <= tolerance, "%s: expected %g, found %g at %zu", what, want,
         static_cast<double>(got), at);
}

void TestBatchNorm(const Primitives& primitives, const BatchNormShape& s, Guard guard,
                   Random& random) {
  const size_t c = s.channels, size = s.pixels * c;
  const GuardedArray<float> scale(RandomFloats(c, random).data(), c, guard);
  const GuardedArray<float> offset(RandomFloats(c, random).data(), c, guard);
  const GuardedArray<float> g(RandomFloats(size, random).data(), size, guard);
  const GuardedArray<float> g_mean(RandomFloats(c, random).data(), c, guard);
  const GuardedArray<float> g_variance(RandomFloats(c, random).data(), c, guard);
  GuardedArray<float> x(RandomFloats(size, random).data(), size, guard);
  for (size_t i = 0; i < size; ++i) x[i] += static_cast<float>(i % c * 10);  // Means of any size.
  GuardedArray<float> y(size, guard), mean(c, guard), variance(c, guard);
  GuardedArray<float> gx(size, guard), gscale(c, guard), goffset(c, guard);
  Backwards executor;
  BatchNorm(primitives, s, x.data(), scale.data(), offset.data(), y.data(), mean.data(),
            variance.data(), executor);
  BatchNormGradients(primitives, s,
                     {x.data(), g.data(), scale.data(), offset.data(), mean.data(), variance.data(),
                      g_mean.data(), g_variance.data(), gx.data(), gscale.data(), goffset.data()},
                     executor);
  const double high =
      s.activation == NormActivation::kRelu6 ? 6.0 : std::numeric_limits<double>::infinity();
  const double low = s.activation == NormActivation::kNone ? -high : 0.0;
  const double count = static_cast<double>(s.pixels);
  for (size_t k = 0; k < c; ++k) {
    double m = 0, v = 0;
    for (size_t p = 0; p < s.pixels; ++p) m += x[p * c + k] / count;
    for (size_t p = 0; p < s.pixels; ++p) v += (x[p * c + k] - m) * (x[p * c + k] - m) / count;
    // Values near 10 k are themselves known to so many digits.
    const double rounding = 1e-6 * (1 + 10.0 * static_cast<double>(k));
    ExpectClose("mean", m, mean[k], rounding, k);
    ExpectClose("variance", v, variance[k], 1e-5 * (1 + v), k);
    const double inverse = 1 / std::sqrt(v + s.epsilon), factor = scale[k] * inverse;
    double sum = 0, product = 0, magnitude = 0, uncertain = 0;
    const auto output = [&](size_t p) { return (x[p * c + k] - m) * factor + offset[k]; };
    const double slack = rounding * std::fabs(factor) + 1e-5;
    for (size_t p = 0; p < s.pixels; ++p) {
      const double before = output(p), off = x[p * c + k] - m;
      ExpectClose("output", std::fmin(std::fmax(before, low), high), y[p * c + k], slack,
                  p * c + k);
      if (before > low && before < high) sum += g[p * c + k], product += g[p * c + k] * off;
      magnitude += std::fabs(g[p * c + k]) * (1 + std::fabs(off));
      // What rounding may take for either side of a bound.
      if (std::fabs(before - low) < slack || std::fabs(before - high) < slack)
        uncertain += std::fabs(g[p * c + k]) * (1 + std::fabs(off));
    }
    const double tolerance = 1e-5 * magnitude + uncertain + rounding * magnitude;
    ExpectClose("gradient of the offset", sum, goffset[k], tolerance, k);
    ExpectClose("gradient of the scale", product * inverse, gscale[k], inverse * tolerance, k);
    for (size_t p = 0; p < s.pixels; ++p) {
      const double before = output(p), off = x[p * c + k] - m;
      if (std::fabs(before - low) < slack || std::fabs(before - high) < slack) continue;
      const double u = before > low && before < high ? g[p * c + k] : 0;
      const double want = factor * u + (g_mean[k] - factor * sum) / count +
                          (2 * g_variance[k] - factor * inverse * inverse * product) * off / count;
      const double share = std::fabs(factor) * (1 + inverse * inverse * std::fabs(off)) / count;
      ExpectClose(
          "gradient of the input", want, gx[p * c + k],
          1e-5 * (1 + std::fabs(want)) + rounding * (1 + std::fabs(factor)) + share * tolerance,
          p * c + k);
    }
  }
}

// A constant channel has no variance, and a NaN stays one.
void TestExtremes(const Primitives& primitives) {
  const std::vector<float> x(300 * 2, 1e6f), one = {1, 1}, offset = {2, -3};
  std::vector<float> y(x.size()), mean(2), variance(2);
  Alone executor;
  const BatchNormShape shape = {300, 2, NormActivation::kNone, 1e-3f};
  BatchNorm(primitives, shape, x.data(), one.data(), offset.data(), y.data(), mean.data(),
            variance.data(), executor);
  for (size_t i = 0; i < y.size(); ++i) ExpectClose("output", offset[i % 2], y[i], 0, i);
  Expect(variance[0] == 0 && variance[1] == 0, "expected no variance, found %g and %g",
         double{variance[0]}, double{variance[1]});
  std::vector<float> bad = x;
  bad[2 * 77] = std::nanf("");
  BatchNorm(primitives, {300, 2, NormActivation::kRelu6, 1e-3f}, bad.data(), one.data(),
            offset.data(), y.data(), mean.data(), variance.data(), executor);
  Expect(std::isnan(y[0]) && std::isnan(mean[0]) && std::isnan(variance[0]),
         "expected NaN, found %g", double{y[0]});
  Expect(y[1] == 0, "expected 0 in the other channel, found %g", double{y[1]});
}

}  // namespace

int main() {
  for (const Primitives* primitives : AllPrimitives()) {
    if (!Runs(MachineIsas().front(), primitives->isa)) {
      std::printf("%s: skipped, this machine lacks it\n", IsaName(primitives->isa));
      continue;
    }
    const int before = g_failures;
    Random random(4);
    size_t i = 0;
    for (const size_t kernel : {1, 3, 5, 7}) {
      for (const size_t stride : {1, 2, 3}) {
        for (const size_t channels : {1, 3, 8, 16, 17, 33, 64}) {
          for (const size_t side : {1, 2, 5, 8, 13}) {
            const WindowShape shape = {side, 1 + (side + i) % 11, channels, kernel, stride};
            TestDepthwise(*primitives, 1 + i % 3, shape, i % 2 ? Guard::kBefore : Guard::kAfter,
                          random);
            ++i;
          }
        }
      }
    }
    for (const size_t kernel : {1, 3, 5}) {
      for (const size_t stride : {1, 2, 3}) {
        for (const size_t c : {1, 3, 10}) {
          for (const size_t d : {1, 8, 20, 32}) {
            const WindowShape shape = {1 + i % 12, 1 + i % 7 * 3, c, kernel, stride};
            TestConvolution(*primitives, 1 + i % 3, shape, d,
                            i % 2 ? Guard::kBefore : Guard::kAfter, random);
            ++i;
          }
        }
      }
    }
    TestDepthwise(*primitives, 70, {3, 4, 5, 3, 2}, Guard::kAfter, random);
    for (const size_t channels : {1, 7, 16, 24, 65, 130}) {
      for (const size_t pixels : {1, 2, 31, 33, 1000, 2600}) {
        const auto activation = static_cast<NormActivation>(i % 3);
        TestBatchNorm(*primitives, {pixels, channels, activation, 1e-3f},
                      i % 2 ? Guard::kBefore : Guard::kAfter, random);
        ++i;
      }
    }
    for (const size_t c : {1, 7, 16, 24, 50}) {
      for (const size_t d : {1, 8, 16, 20, 48, 64, 70, 130}) {
        const size_t pixels = std::vector<size_t>{1, 3, 13, 36, 100, 1500}[i % 6];
        const Guard guard = i % 2 ? Guard::kBefore : Guard::kAfter;
        TestPointwise(*primitives, pixels, c, d, guard, random);
        const std::vector<float> weight = RandomFloats(c * d, random);
        TestFilterNorm(*primitives, PointwiseFilter(*primitives, pixels, c, d, weight.data()),
                       static_cast<NormActivation>(i % 3), guard, random);
        const WindowShape shape = {5, 1 + i % 9, d, 3, 1 + i % 2};
        const std::vector<float> kernel = RandomFloats(9 * d, random);
        TestFilterNorm(*primitives, DepthwiseFilter(*primitives, 1 + i % 40, shape, kernel.data()),
                       static_cast<NormActivation>(i % 3), guard, random);
        ++i;
      }
    }
    TestExtremes(*primitives);
    std::printf("%s: %s\n", IsaName(primitives->isa), g_failures == before ? "ok" : "FAILED");
  }
  return Report();
}
