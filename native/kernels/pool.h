// What maximum and average pooling share: sizes and arguments.
//
// Windows of K x K pixels, S apart. An odd K has K / 2 pixels of padding on each side, an even one
// none; no window takes anything from the padding. Pixels that no window reaches, below and on the
// right, are left out.
#pragma once

#include <cstddef>

#include "kernels/activation.h"

namespace sparsenas {

constexpr size_t PoolPadding(size_t kernel) { return kernel % 2 == 1 ? kernel / 2 : 0; }

// Windows along one side.
constexpr size_t PoolOutSide(size_t side, size_t kernel, size_t stride) {
  const size_t padded = side + 2 * PoolPadding(kernel);
  return padded < kernel ? 0 : (padded - kernel) / stride + 1;
}

struct PoolArgs {
  size_t kernel;     // K
  size_t stride;     // S. The output is PoolOutSide(height, K, S) x PoolOutSide(width, K, S).
  size_t channels;   // C
  size_t height;     // Of the input.
  size_t width;      // Of the input.
  size_t in_stride;  // Floats between channels.
  size_t out_stride;
  const float* in;  // [C, in_stride]
  float* out;       // [C, out_stride], not overlapping `in`.
  ActivationArgs activation;
};

// Fails, naming `op`, where kernel or stride is zero, or no window fits in height x width.
void CheckPool(const char* op, size_t kernel, size_t stride, size_t height, size_t width);

}  // namespace sparsenas
