#include "base/simd/scalar.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/finish.h"
#include "kernels/tensor.h"

namespace sparsenas {
namespace {

// The taps [begin, end) of a row or column of the filter that meet a pixel of the image.
struct Taps {
  size_t begin, end;

  Taps(size_t out, size_t stride, size_t side, size_t kernel) {
    const size_t first = out * stride, padding = kernel / 2;  // Tap s meets first + s - padding.
    begin = first < padding ? padding - first : 0;
    end = first + kernel - padding <= side ? kernel : side + padding - first;
  }
};

}  // namespace

void DepthwiseScalar(const DepthwiseArgs& args) {
  const size_t kernel = args.kernel, padding = kernel / 2;
  const size_t out_height = OutSide(args.height, args.stride);
  const size_t out_width = OutSide(args.width, args.stride);
  const Finish<F32x1> finish(args.activation);
  for (size_t c = 0; c < args.channels; ++c) {
    const float* weight = args.weight + c * kernel * kernel;
    const float* in = args.in + c * args.in_stride;
    float* out = args.out + c * args.out_stride;
    for (size_t y = 0; y < out_height; ++y) {
      const Taps rows(y, args.stride, args.height, kernel);
      for (size_t x = 0; x < out_width; ++x) {
        const Taps columns(x, args.stride, args.width, kernel);
        float sum = args.bias[c];
        for (size_t r = rows.begin; r < rows.end; ++r) {
          const float* row = in + (y * args.stride + r - padding) * args.width;
          for (size_t s = columns.begin; s < columns.end; ++s)
            sum += weight[r * kernel + s] * row[x * args.stride + s - padding];
        }
        finish(F32x1::Set(sum)).Store(out++);
      }
    }
  }
}

}  // namespace sparsenas
