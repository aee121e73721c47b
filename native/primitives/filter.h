// Convolutions of a batch, their gradients, and both together with batch normalisation.
//
// A filter is linear in its input and in its weights: y = filter(x, weight). Its gradients, of
// sum(y * g), are computed together, as each reads g, in parts whose sums over the weights are
// added up at the end.
#pragma once

#include "primitives/batch_norm.h"
#include "primitives/executor.h"
#include "primitives/primitives.h"

namespace sparsenas {

// Weights laid out for the loops, and how a batch is cut. A unit is what can be computed by itself:
// an image, or a pixel where the filter sees no others.
class Filter {
 public:
  virtual ~Filter() = default;

  size_t units;
  size_t at_once;                // Units whose input and output stay in a cache together.
  size_t parts;                  // Into which the units are cut.
  size_t in_floats, out_floats;  // Of a unit.
  size_t channels;               // Of the output.
  size_t weights, sums;  // Floats of the weights, and of their gradients as loops add them up.
  size_t scratch;        // Floats.

  // All on `count` units, which the pointers are at.
  virtual void Forward(size_t count, const float* x, float* y, float* scratch) const = 0;
  // Adds to `sums`.
  virtual void Backward(size_t count, const float* x, const float* g, float* gx, float* sums,
                        float* scratch) const = 0;
  // The sums as weights.
  virtual void Unpack(const float* sums, float* gweight) const = 0;
};

void Apply(const Filter& filter, const float* x, float* y, Executor& executor);
void ApplyGradients(const Filter& filter, const float* x, const float* g, float* gx, float* gweight,
                    Executor& executor);

// One of them, where the filter allows it.
void ApplyInputGradient(const Filter& filter, const float* g, float* gx, Executor& executor);
void ApplyWeightGradient(const Filter& filter, const float* x, const float* g, float* gweight,
                         Executor& executor);

// y = activation(batch norm(z)), z = filter(x), computed while what is read again is in a cache.
// `shape` has the pixels and channels of z.
struct FilterNorm {
  const float *x, *scale, *offset;
  float *y, *z, *mean, *variance;
};
void ApplyNorm(const Primitives& primitives, const Filter& filter, const BatchNormShape& shape,
               const FilterNorm& arrays, Executor& executor);

// The gradients of sum(y * g) + sum(mean * g_mean) + sum(variance * g_variance). `norm.x` is z, and
// `norm.gx` is not written.
struct FilterNormGradient {
  BatchNormGradient norm;
  const float* x;
  float *gx, *gweight;
};
void ApplyNormGradients(const Primitives& primitives, const Filter& filter,
                        const BatchNormShape& shape, const FilterNormGradient& arrays,
                        Executor& executor);

}  // namespace sparsenas
