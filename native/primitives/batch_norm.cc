#include "primitives/batch_norm.h"

#include <algorithm>

#include "primitives/statistics.h"

namespace sparsenas {
namespace {

// Sums in single precision are of at most so many pixels.
constexpr size_t kPixelsOfPart = 1024;
// Below, cutting and adding up takes longer than it saves.
constexpr size_t kFloatsOfPart = 1 << 13;
constexpr size_t kParts = 16;

// The pixels of a batch in parts of one size; the last may be smaller.
struct Parts {
  explicit Parts(const BatchNormShape& shape)
      : pixels(shape.pixels),
        size(std::min(kPixelsOfPart, std::max(CeilDiv(shape.pixels, kParts),
                                              CeilDiv(kFloatsOfPart, shape.channels)))),
        count(CeilDiv(shape.pixels, size)) {}

  size_t First(size_t part) const { return part * size; }
  size_t Size(size_t part) const { return std::min(size, pixels - First(part)); }

  size_t pixels, size, count;
};

}  // namespace

void BatchNorm(const Primitives& primitives, const BatchNormShape& shape, const float* x,
               const float* scale, const float* offset, float* y, float* mean, float* variance,
               Executor& executor) {
  const Parts parts(shape);
  Statistics statistics(shape.channels, parts.count);
  executor.Run(parts.count, [&](size_t part) {
    statistics.Take(primitives, part, x + parts.First(part) * shape.channels, parts.Size(part));
  });
  statistics.Finish(mean, variance);
  const NormFactors factors(shape, scale, variance);
  executor.Run(parts.count, [&](size_t i) {
    // Backwards: what was read last is still in a cache.
    const size_t part = parts.count - 1 - i, at = parts.First(part) * shape.channels;
    primitives.normalize({parts.Size(part), shape.channels, x + at, mean, factors.factor.data(),
                          offset, factors.low, factors.high, y + at});
  });
}

void BatchNormGradients(const Primitives& primitives, const BatchNormShape& shape,
                        const BatchNormGradient& arrays, Executor& executor) {
  const Parts parts(shape);
  const NormFactors factors(shape, arrays.scale, arrays.variance);
  GradientTotals totals(shape.channels, parts.count);
  executor.Run(parts.count, [&](size_t part) {
    totals.Take(primitives, part, factors.Pixels(arrays, parts.First(part), parts.Size(part)));
  });
  const NormSlopes slopes = totals.Finish(shape, arrays);
  executor.Run(parts.count, [&](size_t i) {
    const size_t part = parts.count - 1 - i;
    primitives.gradient(factors.Pixels(arrays, parts.First(part), parts.Size(part)),
                        slopes.slope.data(), slopes.shift.data(),
                        arrays.gx + parts.First(part) * shape.channels);
  });
}

}  // namespace sparsenas
