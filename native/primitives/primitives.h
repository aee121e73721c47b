// What training computes on a processor: float32, pixels with their channels side by side (NHWC).
//
// The loops are compiled for every instruction set (`loops.h`); the functions of depthwise.h,
// batch_norm.h and convolution.h cut an operation into parts, which threads share, and add up what
// the parts have in common.
#pragma once

#include <cstddef>
#include <vector>

#include "base/arch.h"

namespace sparsenas {

// Kernels are at most this wide and high.
constexpr size_t kMostTaps = 15;

struct WindowShape {
  size_t height, width;  // H, W
  size_t channels;       // C
  size_t kernel;         // k, odd
  size_t stride;

  constexpr size_t out_height() const { return (height - 1) / stride + 1; }
  constexpr size_t out_width() const { return (width - 1) / stride + 1; }
  constexpr size_t pixels() const { return height * width; }
  constexpr size_t out_pixels() const { return out_height() * out_width(); }
};

// The loops of one instruction set. None of them checks or allocates anything.
struct Primitives {
  Isa isa;
  size_t lanes;  // Floats of a vector.

  // One image of depthwise.h, which lays out `taps` and says how large `scratch` must be.
  struct Depthwise {
    WindowShape shape;
    size_t pitch;  // Floats between pixels in scratch and between taps.
    float* scratch;
  };
  void (*depthwise)(const Depthwise&, const float* x, const float* taps, float* y);
  void (*depthwise_input)(const Depthwise&, const float* g, const float* taps, float* gx);
  // Adds to sums [k, k, pitch].
  void (*depthwise_kernel)(const Depthwise&, const float* x, const float* g, float* sums);

  // Some pixels of pointwise.h: y = x * weight. x [pixels, c], y [pixels, d]; the weight in blocks
  // of columns (`ProductVectors`), each [c, columns], zeros where there are none.
  struct Product {
    size_t pixels, c, d;
    const float *x, *weight;
    float* y;
  };
  void (*product)(const Product&);
  // sums += x^T * g, g [pixels, d], sums [c, pitch].
  void (*weight_product)(const Product&, const float* g, size_t pitch, float* sums);

  // Some pixels of batch_norm.h, x [pixels, C]; everything else [C].
  struct Sums {
    size_t pixels, channels;
    const float *x, *centre;
    float* first;   // += sum (x - centre)
    float* second;  // += sum (x - centre)^2
  };
  void (*sums)(const Sums&);
  // y = clamp((x - mean) * factor + offset, low, high)
  struct Normalize {
    size_t pixels, channels;
    const float *x, *mean, *factor, *offset;
    float low, high;
    float* y;
  };
  void (*normalize)(const Normalize&);
  // With u = g where low < (x - mean) * factor + offset < high, else 0; g everywhere where
  // `clamped` is false.
  struct Gradient {
    size_t pixels, channels;
    const float *x, *g, *mean, *factor, *offset;
    bool clamped;
    float low, high;
  };
  // first += sum u, second += sum u (x - mean)
  void (*gradient_sums)(const Gradient&, float* first, float* second);
  // gx = factor * u + slope * (x - mean) + shift
  void (*gradient)(const Gradient&, const float* slope, const float* shift, float* gx);
};

// The columns of the block of a product that begins where so many vectors of columns are left:
// up to three vectors, and never one where two and two do.
constexpr size_t ProductVectors(size_t left) { return left == 4 ? 2 : left < 3 ? left : 3; }

// Those of every instruction set that was compiled, the fastest first.
std::vector<const Primitives*> AllPrimitives();

// The fastest ones that run on `isa`.
const Primitives& BestPrimitives(Isa isa);

}  // namespace sparsenas
