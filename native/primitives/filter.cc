#include "primitives/filter.h"

#include <algorithm>

#include "base/aligned.h"
#include "primitives/statistics.h"

namespace sparsenas {
namespace {

// Memory that a thread computes in, kept for the next time: at least so many floats at the start of
// a cache line, with anything in them.
float* Scratch(size_t floats) {
  static thread_local AlignedArray<float> memory;
  if (memory.size() < floats) memory = AlignedArray<float>(floats);
  return memory.data();
}

// The units of each part of a filter.
struct Units {
  explicit Units(const Filter& filter) : filter(filter) {}
  size_t First(size_t part) const { return filter.units * part / filter.parts; }

  // Calls work(first unit, units) for as many of a part as are computed at once.
  template <class Work>
  void For(size_t part, const Work& work) const {
    const size_t end = First(part + 1);
    for (size_t n = First(part); n < end; n += filter.at_once)
      work(n, std::min(filter.at_once, end - n));
  }
  // The same from the last to the first: what was read last is still in a cache.
  template <class Work>
  void Back(size_t part, const Work& work) const {
    const size_t first = First(part);
    for (size_t end = First(part + 1); end > first;) {
      const size_t count = std::min(filter.at_once, end - first);
      end -= count;
      work(end, count);
    }
  }

  const Filter& filter;
};

// The gradient of the weights: a sum for every part.
class WeightSums {
 public:
  explicit WeightSums(const Filter& filter) : filter_(filter) {
    // Kept, as fresh memory takes the system as long as the sums take.
    static thread_local AlignedArray<float> memory;
    const size_t floats = std::max(size_t{1}, filter.parts) * filter.sums;
    if (memory.size() < floats) memory = AlignedArray<float>(floats);
    sums_ = memory.data();
    if (filter.parts == 0) Begin(0);
  }

  // Returns those of a part, zero.
  float* Begin(size_t part) {
    float* sums = sums_ + part * filter_.sums;
    std::fill_n(sums, filter_.sums, 0.0f);
    return sums;
  }

  void Total(float* gweight, Executor& executor) {
    constexpr size_t kFloats = 4096;
    executor.Run(CeilDiv(filter_.sums, kFloats), [&](size_t i) {
      const size_t end = std::min(filter_.sums, (i + 1) * kFloats);
      for (size_t part = 1; part < filter_.parts; ++part) {
        const float* sums = sums_ + part * filter_.sums;
        for (size_t k = i * kFloats; k < end; ++k) sums_[k] += sums[k];
      }
    });
    filter_.Unpack(sums_, gweight);
  }

 private:
  const Filter& filter_;
  float* sums_;
};

}  // namespace

void Apply(const Filter& filter, const float* x, float* y, Executor& executor) {
  const Units units(filter);
  executor.Run(filter.parts, [&](size_t part) {
    float* scratch = Scratch(filter.scratch);
    units.For(part, [&](size_t n, size_t count) {
      filter.Forward(count, x + n * filter.in_floats, y + n * filter.out_floats, scratch);
    });
  });
}

void ApplyGradients(const Filter& filter, const float* x, const float* g, float* gx, float* gweight,
                    Executor& executor) {
  const Units units(filter);
  WeightSums sums(filter);
  executor.Run(filter.parts, [&](size_t part) {
    float* scratch = Scratch(filter.scratch);
    float* own = sums.Begin(part);
    units.For(part, [&](size_t n, size_t count) {
      filter.Backward(count, x + n * filter.in_floats, g + n * filter.out_floats,
                      gx + n * filter.in_floats, own, scratch);
    });
  });
  sums.Total(gweight, executor);
}

void ApplyInputGradient(const Filter& filter, const float* g, float* gx, Executor& executor) {
  const Units units(filter);
  executor.Run(filter.parts, [&](size_t part) {
    float* scratch = Scratch(filter.scratch);
    units.For(part, [&](size_t n, size_t count) {
      filter.Backward(count, nullptr, g + n * filter.out_floats, gx + n * filter.in_floats, nullptr,
                      scratch);
    });
  });
}

void ApplyWeightGradient(const Filter& filter, const float* x, const float* g, float* gweight,
                         Executor& executor) {
  const Units units(filter);
  WeightSums sums(filter);
  executor.Run(filter.parts, [&](size_t part) {
    float* scratch = Scratch(filter.scratch);
    float* own = sums.Begin(part);
    units.For(part, [&](size_t n, size_t count) {
      filter.Backward(count, x + n * filter.in_floats, g + n * filter.out_floats, nullptr, own,
                      scratch);
    });
  });
  sums.Total(gweight, executor);
}

void ApplyNorm(const Primitives& primitives, const Filter& filter, const BatchNormShape& shape,
               const FilterNorm& arrays, Executor& executor) {
  const Units units(filter);
  const size_t channels = filter.channels, unit = filter.out_floats / channels;
  Statistics statistics(channels, filter.parts);
  executor.Run(filter.parts, [&](size_t part) {
    float* scratch = Scratch(filter.scratch);
    units.For(part, [&](size_t n, size_t count) {
      float* z = arrays.z + n * filter.out_floats;
      filter.Forward(count, arrays.x + n * filter.in_floats, z, scratch);
      statistics.Take(primitives, part, z, count * unit);
    });
  });
  statistics.Finish(arrays.mean, arrays.variance);
  const NormFactors factors(shape, arrays.scale, arrays.variance);
  executor.Run(filter.parts, [&](size_t i) {
    const size_t part = filter.parts - 1 - i, n = units.First(part);
    const size_t at = n * filter.out_floats;
    primitives.normalize({(units.First(part + 1) - n) * unit, channels, arrays.z + at, arrays.mean,
                          factors.factor.data(), arrays.offset, factors.low, factors.high,
                          arrays.y + at});
  });
}

void ApplyNormGradients(const Primitives& primitives, const Filter& filter,
                        const BatchNormShape& shape, const FilterNormGradient& arrays,
                        Executor& executor) {
  const Units units(filter);
  const size_t channels = filter.channels, unit = filter.out_floats / channels;
  const NormFactors factors(shape, arrays.norm.scale, arrays.norm.variance);
  const auto pixels = [&](size_t n, size_t count) {
    return factors.Pixels(arrays.norm, n * unit, count * unit);
  };
  GradientTotals totals(channels, filter.parts);
  executor.Run(filter.parts, [&](size_t part) {
    const size_t n = units.First(part);
    totals.Take(primitives, part, pixels(n, units.First(part + 1) - n));
  });
  const NormSlopes slopes = totals.Finish(shape, arrays.norm);
  WeightSums sums(filter);
  executor.Run(filter.parts, [&](size_t i) {
    const size_t part = filter.parts - 1 - i;
    const size_t own = RoundUp(filter.scratch, 16);
    float* scratch = Scratch(own + filter.at_once * filter.out_floats);
    float* gz = scratch + own;
    float* weight_sums = sums.Begin(part);
    units.Back(part, [&](size_t n, size_t count) {
      primitives.gradient(pixels(n, count), slopes.slope.data(), slopes.shift.data(), gz);
      filter.Backward(count, arrays.x + n * filter.in_floats, gz, arrays.gx + n * filter.in_floats,
                      weight_sums, scratch);
    });
  });
  sums.Total(arrays.gweight, executor);
}

}  // namespace sparsenas
