#include "primitives/convolution.h"

#include <algorithm>

#include "primitives/pointwise.h"

namespace sparsenas {
namespace {

constexpr size_t kParts = 32;
// Pixels of a product: some tiles of every kind.
constexpr size_t kPixelsAtOnce = 96;

}  // namespace

ConvolutionFilter::ConvolutionFilter(const Primitives& primitives, size_t batch,
                                     const WindowShape& shape, size_t d, const float* kernel)
    : primitives_(primitives),
      shape_(shape),
      taps_(shape.kernel * shape.kernel * shape.channels),
      pitch_(RoundUp(d, primitives.lanes)),
      rows_(std::min(shape.out_height(), CeilDiv(kPixelsAtOnce, shape.out_width()))) {
  units = batch;
  at_once = 1;
  parts = std::min(batch, kParts);
  in_floats = shape.pixels() * shape.channels;
  out_floats = shape.out_pixels() * d;
  channels = d;
  weights = taps_ * d;
  sums = taps_ * pitch_;
  scratch = rows_ * shape.out_width() * taps_;
  if (kernel == nullptr) return;
  kernel_ = PackedColumns(primitives, kernel, taps_, d, d, 1);
  transposed_ = PackedColumns(primitives, kernel, d, taps_, 1, d);
}

template <class Work>
void ConvolutionFilter::ForRows(const Work& work) const {
  for (size_t row = 0; row < shape_.out_height(); row += rows_)
    work(row, std::min(rows_, shape_.out_height() - row) * shape_.out_width());
}

template <class Work>
void ConvolutionFilter::ForPatches(size_t first_row, size_t pixels, const Work& work) const {
  const size_t pad = shape_.kernel / 2, c = shape_.channels, width = shape_.out_width();
  for (size_t p = 0; p < pixels; ++p) {
    const size_t top = (first_row + p / width) * shape_.stride, left = p % width * shape_.stride;
    // Columns of the kernel that lie on the image.
    const size_t from = left < pad ? pad - left : 0;
    const size_t to = std::min(shape_.kernel, shape_.width + pad - left);
    for (size_t r = 0; r < shape_.kernel; ++r) {
      if (top + r < pad || top + r >= shape_.height + pad || from >= to) continue;
      const size_t pixel = (top + r - pad) * shape_.width + left + from - pad;
      work(p * taps_ + (r * shape_.kernel + from) * c, pixel * c, (to - from) * c);
    }
  }
}

void ConvolutionFilter::Gather(const float* x, size_t first_row, size_t pixels,
                               float* patches) const {
  std::fill_n(patches, pixels * taps_, 0.0f);
  ForPatches(first_row, pixels, [&](size_t patch, size_t pixel, size_t floats) {
    for (size_t i = 0; i < floats; ++i) patches[patch + i] = x[pixel + i];
  });
}

void ConvolutionFilter::Forward(size_t count, const float* x, float* y, float* scratch) const {
  for (size_t n = 0; n < count; ++n, x += in_floats, y += out_floats) {
    ForRows([&](size_t row, size_t pixels) {
      Gather(x, row, pixels, scratch);
      primitives_.product({pixels, taps_, channels, scratch, kernel_.data(),
                           y + row * shape_.out_width() * channels});
    });
  }
}

void ConvolutionFilter::Backward(size_t count, const float* x, const float* g, float* gx,
                                 float* sums, float* scratch) const {
  for (size_t n = 0; n < count; ++n) {
    const float* g_image = g + n * out_floats;
    if (gx != nullptr) std::fill_n(gx + n * in_floats, in_floats, 0.0f);
    ForRows([&](size_t row, size_t pixels) {
      const float* g_rows = g_image + row * shape_.out_width() * channels;
      if (sums != nullptr) {
        Gather(x + n * in_floats, row, pixels, scratch);
        primitives_.weight_product({pixels, taps_, channels, scratch, nullptr, nullptr}, g_rows,
                                   pitch_, sums);
      }
      if (gx != nullptr) {
        primitives_.product({pixels, channels, taps_, g_rows, transposed_.data(), scratch});
        float* to = gx + n * in_floats;
        ForPatches(row, pixels, [&](size_t patch, size_t pixel, size_t floats) {
          for (size_t i = 0; i < floats; ++i) to[pixel + i] += scratch[patch + i];
        });
      }
    });
  }
}

void ConvolutionFilter::Unpack(const float* sums, float* gkernel) const {
  for (size_t i = 0; i < taps_; ++i)
    std::copy_n(sums + i * pitch_, channels, gkernel + i * channels);
}

}  // namespace sparsenas
