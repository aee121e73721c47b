// Batch normalisation with an activation, and its gradients.
//
//   y[p, c] = clamp((x[p, c] - mean[c]) * factor[c] + offset[c], low, high)
//   factor = scale / sqrt(variance + epsilon)
//
// with mean and variance of each channel over the pixels of the batch: x [P, C], all else [C].
#pragma once

#include "primitives/executor.h"
#include "primitives/primitives.h"

namespace sparsenas {

// What follows: nothing, max(y, 0) or min(max(y, 0), 6).
enum class NormActivation { kNone, kRelu, kRelu6 };

struct BatchNormShape {
  size_t pixels, channels;
  NormActivation activation;
  float epsilon;
};

void BatchNorm(const Primitives& primitives, const BatchNormShape& shape, const float* x,
               const float* scale, const float* offset, float* y, float* mean, float* variance,
               Executor& executor);

// The derivatives of sum(y * g) + sum(mean * g_mean) + sum(variance * g_variance).
struct BatchNormGradient {
  const float *x, *g, *scale, *offset, *mean, *variance, *g_mean, *g_variance;
  float *gx, *gscale, *goffset;
};
void BatchNormGradients(const Primitives& primitives, const BatchNormShape& shape,
                        const BatchNormGradient& arrays, Executor& executor);

}  // namespace sparsenas
