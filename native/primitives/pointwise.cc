#include "primitives/pointwise.h"

#include <algorithm>

namespace sparsenas {
namespace {

constexpr size_t kParts = 32;
// Floats of input and output that a core computes at once: half of a small level 2 cache.
constexpr size_t kFloatsAtOnce = 1 << 15;

}  // namespace

AlignedArray<float> PackedColumns(const Primitives& primitives, const float* matrix, size_t c,
                                  size_t d, size_t down, size_t right) {
  const size_t lanes = primitives.lanes;
  AlignedArray<float> packed(c * RoundUp(d, lanes));
  float* to = packed.data();
  for (size_t first = 0; first < d;) {
    const size_t columns = ProductVectors(CeilDiv(d - first, lanes)) * lanes;
    const size_t count = std::min(columns, d - first);
    for (size_t i = 0; i < c; ++i, to += columns) {
      for (size_t j = 0; j < count; ++j) to[j] = matrix[i * down + (first + j) * right];
    }
    first += columns;
  }
  return packed;
}

PointwiseFilter::PointwiseFilter(const Primitives& primitives, size_t pixels, size_t c, size_t d,
                                 const float* weight)
    : primitives_(primitives), c_(c), pitch_(RoundUp(d, primitives.lanes)) {
  units = pixels;
  in_floats = c;
  out_floats = d;
  channels = d;
  weights = c * d;
  sums = c * pitch_;
  scratch = 0;
  at_once = std::max(size_t{128}, kFloatsAtOnce / (c + d) / 16 * 16);
  // Each part has sums of its own, which are to be few beside what it reads.
  const size_t most = pixels * (c + d) / (4 * sums);
  parts = std::min({CeilDiv(pixels, 32), kParts, std::max(size_t{4}, most)});
  weight_ = PackedColumns(primitives, weight, c, d, d, 1);
  transposed_ = PackedColumns(primitives, weight, d, c, 1, d);
}

void PointwiseFilter::Forward(size_t count, const float* x, float* y, float*) const {
  primitives_.product({count, c_, channels, x, weight_.data(), y});
}

void PointwiseFilter::Backward(size_t count, const float* x, const float* g, float* gx, float* sums,
                               float*) const {
  primitives_.product({count, channels, c_, g, transposed_.data(), gx});
  primitives_.weight_product({count, c_, channels, x, nullptr, nullptr}, g, pitch_, sums);
}

void PointwiseFilter::Unpack(const float* sums, float* gweight) const {
  for (size_t i = 0; i < c_; ++i) std::copy_n(sums + i * pitch_, channels, gweight + i * channels);
}

}  // namespace sparsenas
