#include "primitives/statistics.h"

#include <cmath>
#include <limits>

namespace sparsenas {

Statistics::Statistics(size_t channels, size_t parts)
    : channels_(channels), x_(parts), pixels_(parts), sums_(parts * 2 * channels) {}

void Statistics::Take(const Primitives& primitives, size_t part, const float* x, size_t pixels) {
  if (pixels_[part] == 0) x_[part] = x;
  pixels_[part] += pixels;
  float* first = sums_.data() + 2 * part * channels_;
  primitives.sums({pixels, channels_, x, x_[part], first, first + channels_});
}

// Chan, Golub and LeVeque (1983), https://doi.org/10.2307/2683386: the mean of two parts, and their
// sum of squares about it.
void Statistics::Finish(float* mean, float* variance) const {
  std::vector<double> means(channels_), squares(channels_);
  double before = 0;
  for (size_t part = 0; part < pixels_.size(); ++part) {
    const float* first = sums_.data() + 2 * part * channels_;
    const float* second = first + channels_;
    const double size = static_cast<double>(pixels_[part]), inverse = 1 / size;
    const double share = size / (before + size);
    for (size_t c = 0; c < channels_; ++c) {
      const double off = first[c] * inverse;
      const double delta = x_[part][c] + off - means[c];
      means[c] += delta * share;
      squares[c] += second[c] - first[c] * off + delta * delta * before * share;
    }
    before += size;
  }
  for (size_t c = 0; c < channels_; ++c) {
    mean[c] = static_cast<float>(means[c]);
    // Rounding may leave it below zero; NaN stays.
    const double square = squares[c] / before;
    variance[c] = static_cast<float>(square < 0 ? 0 : square);
  }
}

NormFactors::NormFactors(const BatchNormShape& shape, const float* scale, const float* variance)
    : channels(shape.channels),
      factor(shape.channels),
      clamped(shape.activation != NormActivation::kNone),
      low(clamped ? 0.0f : -std::numeric_limits<float>::infinity()),
      high(shape.activation == NormActivation::kRelu6 ? 6.0f
                                                      : std::numeric_limits<float>::infinity()) {
  for (size_t c = 0; c < channels; ++c)
    factor[c] = static_cast<float>(scale[c] / std::sqrt(double{variance[c]} + shape.epsilon));
}

Primitives::Gradient NormFactors::Pixels(const BatchNormGradient& arrays, size_t first,
                                         size_t pixels) const {
  const size_t at = first * channels;
  return {pixels,        channels,      arrays.x + at, arrays.g + at, arrays.mean,
          factor.data(), arrays.offset, clamped,       low,           high};
}

void GradientTotals::Take(const Primitives& primitives, size_t part,
                          const Primitives::Gradient& pixels) {
  float* first = sums_.data() + 2 * part * channels_;
  primitives.gradient_sums(pixels, first, first + channels_);
}

NormSlopes GradientTotals::Finish(const BatchNormShape& shape,
                                  const BatchNormGradient& arrays) const {
  std::vector<double> totals(2 * channels_);
  for (size_t i = 0; i < sums_.size(); i += totals.size()) {
    for (size_t c = 0; c < totals.size(); ++c) totals[c] += sums_[i + c];
  }
  NormSlopes slopes = {std::vector<float>(channels_), std::vector<float>(channels_)};
  const double share = 1 / static_cast<double>(shape.pixels);
  for (size_t c = 0; c < channels_; ++c) {
    const double sum = totals[c], product = totals[channels_ + c];
    const double inverse = 1 / std::sqrt(double{arrays.variance[c]} + shape.epsilon);
    arrays.goffset[c] = static_cast<float>(sum);
    arrays.gscale[c] = static_cast<float>(product * inverse);
    const double factor = arrays.scale[c] * inverse;
    slopes.slope[c] = static_cast<float>(
        share * (2 * arrays.g_variance[c] - factor * inverse * inverse * product));
    slopes.shift[c] = static_cast<float>(share * (arrays.g_mean[c] - factor * sum));
  }
  return slopes;
}

}  // namespace sparsenas
