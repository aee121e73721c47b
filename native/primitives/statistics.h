// The sums of batch normalisation, added up from parts.
#pragma once

#include <vector>

#include "base/aligned.h"
#include "primitives/batch_norm.h"

namespace sparsenas {

// Means and variances of channels. Sums in single precision are about a value of each part, and of
// few pixels; parts are put together in double precision.
class Statistics {
 public:
  Statistics(size_t channels, size_t parts);

  // Adds x [pixels, C] to a part.
  void Take(const Primitives& primitives, size_t part, const float* x, size_t pixels);
  void Finish(float* mean, float* variance) const;

 private:
  size_t channels_;
  std::vector<const float*> x_;
  std::vector<size_t> pixels_;
  AlignedArray<float> sums_;  // [parts, 2, C]
};

// What normalisation multiplies by, and the bounds of its activation.
struct NormFactors {
  NormFactors(const BatchNormShape& shape, const float* scale, const float* variance);
  // Some pixels of a gradient.
  Primitives::Gradient Pixels(const BatchNormGradient& arrays, size_t first, size_t pixels) const;

  size_t channels;
  std::vector<float> factor;
  bool clamped;
  float low, high;
};

struct NormSlopes {
  std::vector<float> slope, shift;
};

// Sums over the gradient of the output.
class GradientTotals {
 public:
  GradientTotals(size_t channels, size_t parts)
      : channels_(channels), sums_(parts * 2 * channels) {}

  void Take(const Primitives& primitives, size_t part, const Primitives::Gradient& pixels);
  // Writes the gradients of scale and offset.
  NormSlopes Finish(const BatchNormShape& shape, const BatchNormGradient& arrays) const;

 private:
  size_t channels_;
  AlignedArray<float> sums_;  // [parts, 2, C]
};

}  // namespace sparsenas
