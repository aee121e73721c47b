// What maximum and average pooling share: sizes and arguments.
//
// Windows of K x K pixels, S apart, in an image with P pixels of padding on each side; no window
// takes anything from the padding. Pixels that no window reaches, below and on the right, are left
// out.
#pragma once

#include <cstddef>

#include "kernels/activation.h"
#include "kernels/tensor.h"

namespace sparsenas {

struct PoolArgs {
  size_t kernel;     // K
  size_t stride;     // S
  size_t padding;    // P, at most K / 2. The output is WindowsAlong(height, K, S, P) high.
  size_t channels;   // C
  size_t height;     // Of the input.
  size_t width;      // Of the input.
  size_t in_stride;  // Floats between channels.
  size_t out_stride;
  const float* in;  // [C, in_stride]
  float* out;       // [C, out_stride], not overlapping `in`.
  ActivationArgs activation;
};

// Fails, naming `op`, where kernel or stride is zero, the padding is more than half a window, or no
// window fits in height x width.
void CheckPool(const char* op, size_t kernel, size_t stride, size_t padding, size_t height,
               size_t width);

}  // namespace sparsenas
