#include "primitives/depthwise.h"

#include <algorithm>

namespace sparsenas {
namespace {

constexpr size_t kParts = 32;

// Floats between pixels in scratch. Were they a multiple of 64, the pixels of a tile would lie in a
// few sets of the cache and push each other out.
size_t Pitch(const Primitives& primitives, size_t channels) {
  const size_t pitch = RoundUp(channels, primitives.lanes);
  return pitch % 64 == 0 ? pitch + 16 : pitch;
}

void Pack(const WindowShape& shape, const float* kernel, size_t pitch, float* to) {
  for (size_t t = 0; t < shape.kernel * shape.kernel; ++t, to += pitch)
    std::copy_n(kernel + t * shape.channels, shape.channels, to);
}

// For every residue of a column modulo the stride, and every row of the kernel, the taps that meet
// it, the last first.
void PackForInput(const WindowShape& shape, const float* kernel, size_t pitch, float* to) {
  for (size_t b = 0; b < shape.stride; ++b) {
    const size_t first = (b + shape.kernel / 2) % shape.stride;
    for (size_t r = 0; r < shape.kernel; ++r) {
      for (size_t s = shape.kernel; s-- > 0;) {
        if (s % shape.stride != first) continue;
        std::copy_n(kernel + (r * shape.kernel + s) * shape.channels, shape.channels, to);
        to += pitch;
      }
    }
  }
}

}  // namespace

DepthwiseFilter::DepthwiseFilter(const Primitives& primitives, size_t batch,
                                 const WindowShape& shape, const float* kernel)
    : primitives_(primitives), shape_(shape), pitch_(Pitch(primitives, shape.channels)) {
  units = batch;
  at_once = 1;
  parts = std::min(batch, kParts);
  in_floats = shape.pixels() * shape.channels;
  out_floats = shape.out_pixels() * shape.channels;
  channels = shape.channels;
  weights = shape.kernel * shape.kernel * shape.channels;
  sums = shape.kernel * shape.kernel * pitch_;
  // Rows with their margins, as many as a kernel is high and two more.
  scratch = (shape.kernel + 2) * (shape.width + shape.kernel + 1) * pitch_;
  taps_ = AlignedArray<float>(sums);
  input_taps_ = AlignedArray<float>(sums);
  Pack(shape, kernel, pitch_, taps_.data());
  PackForInput(shape, kernel, pitch_, input_taps_.data());
}

void DepthwiseFilter::Forward(size_t count, const float* x, float* y, float* scratch) const {
  for (size_t n = 0; n < count; ++n)
    primitives_.depthwise({shape_, pitch_, scratch}, x + n * in_floats, taps_.data(),
                          y + n * out_floats);
}

void DepthwiseFilter::Backward(size_t count, const float* x, const float* g, float* gx, float* sums,
                               float* scratch) const {
  const Primitives::Depthwise args = {shape_, pitch_, scratch};
  for (size_t n = 0; n < count; ++n) {
    const float* g_image = g + n * out_floats;
    primitives_.depthwise_input(args, g_image, input_taps_.data(), gx + n * in_floats);
    primitives_.depthwise_kernel(args, x + n * in_floats, g_image, sums);
  }
}

void DepthwiseFilter::Unpack(const float* sums, float* gkernel) const {
  for (size_t t = 0; t < shape_.kernel * shape_.kernel; ++t)
    std::copy_n(sums + t * pitch_, channels, gkernel + t * channels);
}

}  // namespace sparsenas
