// The loops of depthwise convolution, over a vector type: a vector is some channels of a pixel.
#pragma once

#include <cstring>

#include "primitives/primitives.h"

namespace sparsenas {
namespace {

// Rows of an image, copied as they are needed: zeros beside them, and channels up to whole vectors,
// so that all pixels are computed alike. Copies of some rows are small enough to stay in the
// innermost cache.
template <class V>
class Rows {
 public:
  // Of [height, width, channels], `slots` rows at a time, with `margin` zeros on either side.
  Rows(const float* image, size_t height, size_t width, size_t channels, size_t margin,
       size_t slots, size_t pitch, float* scratch)
      : image_(image),
        height_(static_cast<ptrdiff_t>(height)),
        width_(width),
        channels_(channels),
        margin_(margin),
        slots_(slots),
        pitch_(pitch),
        row_((width + 2 * margin) * pitch),
        scratch_(scratch) {
    for (size_t i = 0; i < slots; ++i) {
      std::memset(scratch + i * row_, 0, margin * pitch * sizeof(float));
      std::memset(scratch + (i + 1) * row_ - margin * pitch, 0, margin * pitch * sizeof(float));
    }
  }

  bool Has(ptrdiff_t h) const { return 0 <= h && h < height_; }

  // Copies the rows before `end` that are not there yet, at most `slots`.
  void Until(ptrdiff_t end) {
    if (end > height_) end = height_;
    if (next_ + static_cast<ptrdiff_t>(slots_) < end) next_ = end - static_cast<ptrdiff_t>(slots_);
    for (; next_ < end; ++next_) Copy(next_);
  }

  // The first zero beside a row that is there.
  const float* Row(ptrdiff_t h) const { return scratch_ + static_cast<size_t>(h) % slots_ * row_; }

 private:
  void Copy(ptrdiff_t h) {
    const float* from = image_ + static_cast<size_t>(h) * width_ * channels_;
    float* to = scratch_ + static_cast<size_t>(h) % slots_ * row_ + margin_ * pitch_;
    const size_t whole = channels_ / V::kLanes * V::kLanes;
    const typename V::Lanes rest = V::First(channels_ - whole);
    for (size_t w = 0; w < width_; ++w, from += channels_, to += pitch_) {
      for (size_t c = 0; c < whole; c += V::kLanes) V::Load(from + c).Store(to + c);
      if (whole < channels_) V::Load(from + whole, rest).Store(to + whole);
    }
  }

  const float* image_;
  ptrdiff_t height_, next_ = 0;
  size_t width_, channels_, margin_, slots_, pitch_, row_;
  float* scratch_;
};

// Some taps of one row of the kernel, and the first pixel that the first of them sees.
struct Line {
  const float *x, *taps;
};

// Where pixels go: `columns` of them, `step` floats apart.
struct Columns {
  size_t columns, step, channels;
  float* out;
};

// out[j] = sum over lines and t of taps[t] * x[j * kStride + t], kCount pixels of one vector.
template <class V, size_t kTaps, size_t kStride, size_t kCount>
inline void Tile(const Line* lines, size_t count, size_t at, size_t x_step, size_t taps_step,
                 V* sums) {
#pragma GCC unroll 16
  for (size_t j = 0; j < kCount; ++j) sums[j] = V::Set(0.0f);
#pragma GCC unroll 1
  for (const Line* line = lines; line != lines + count; ++line) {
    const float* x = line->x + at;
    V taps[kTaps];
#pragma GCC unroll 16
    for (size_t t = 0; t < kTaps; ++t) taps[t] = V::Load(line->taps + t * taps_step);
#pragma GCC unroll 32
    for (size_t u = 0; u < (kCount - 1) * kStride + kTaps; ++u) {
      if (kTaps < kStride && u % kStride >= kTaps) continue;
      const V pixel = V::InRegister(V::Load(x + u * x_step));
#pragma GCC unroll 16
      for (size_t t = 0; t < kTaps; ++t) {
        if (u >= t && (u - t) % kStride == 0 && (u - t) / kStride < kCount)
          V::AddProduct(pixel, taps[t], &sums[(u - t) / kStride]);
      }
    }
  }
}

// Tiles of kCount columns, the last of which may repeat some of the one before.
template <class V, size_t kTaps, size_t kStride, size_t kCount>
inline void Tiles(const Line* lines, size_t count, size_t c, size_t x_step, size_t taps_step,
                  const Columns& columns) {
  const size_t left = columns.channels - c;
  const typename V::Lanes rest = V::First(left < V::kLanes ? left : 0);
  Line here[kMostTaps * kMostTaps];
  for (size_t i = 0; i < count; ++i) here[i] = {lines[i].x + c, lines[i].taps + c};
  for (size_t j = 0; j < columns.columns; j += kCount) {
    if (j + kCount > columns.columns) j = columns.columns - kCount;
    V sums[kCount];
    Tile<V, kTaps, kStride, kCount>(here, count, j * kStride * x_step, x_step, taps_step, sums);
    float* out = columns.out + j * columns.step + c;
    if (left >= V::kLanes) {
#pragma GCC unroll 16
      for (size_t i = 0; i < kCount; ++i) sums[i].Store(out + i * columns.step);
    } else {
#pragma GCC unroll 16
      for (size_t i = 0; i < kCount; ++i) sums[i].Store(out + i * columns.step, rest);
    }
  }
}

// One row of pixels. Eight sums at a time keep two multiply-adders busy, which take four cycles.
template <class V, size_t kTaps, size_t kStride>
inline void Across(const Line* lines, size_t count, size_t x_step, size_t taps_step,
                   const Columns& columns) {
  for (size_t c = 0; c < columns.channels; c += V::kLanes) {
    if (columns.columns >= 8) {
      Tiles<V, kTaps, kStride, 8>(lines, count, c, x_step, taps_step, columns);
    } else if (columns.columns >= 4) {
      Tiles<V, kTaps, kStride, 4>(lines, count, c, x_step, taps_step, columns);
    } else {
      Tiles<V, kTaps, kStride, 1>(lines, count, c, x_step, taps_step, columns);
    }
  }
}

// The same for any number of taps in a row: those of sizes that have no code of their own become a
// line each.
template <class V>
inline void AnyAcross(const Line* lines, size_t count, size_t taps, size_t stride, size_t pitch,
                      const Columns& columns) {
  if (taps == 3 && stride == 1) return Across<V, 3, 1>(lines, count, pitch, pitch, columns);
  if (taps == 3 && stride == 2) return Across<V, 3, 2>(lines, count, pitch, pitch, columns);
  if (taps == 5 && stride == 1) return Across<V, 5, 1>(lines, count, pitch, pitch, columns);
  if (taps == 5 && stride == 2) return Across<V, 5, 2>(lines, count, pitch, pitch, columns);
  if (taps == 2 && stride == 1) return Across<V, 2, 1>(lines, count, pitch, pitch, columns);
  if (taps == 1) return Across<V, 1, 1>(lines, count, stride * pitch, pitch, columns);
  Line each[kMostTaps * kMostTaps];
  for (size_t i = 0; i < count * taps; ++i)
    each[i] = {lines[i / taps].x + i % taps * pitch, lines[i / taps].taps + i % taps * pitch};
  Across<V, 1, 1>(each, count * taps, stride * pitch, pitch, columns);
}

template <class V>
void DepthwiseLoop(const Primitives::Depthwise& args, const float* x, const float* taps, float* y) {
  const WindowShape& s = args.shape;
  const size_t pad = s.kernel / 2;
  Rows<V> rows(x, s.height, s.width, s.channels, pad, s.kernel, args.pitch, args.scratch);
  for (size_t i = 0; i < s.out_height(); ++i) {
    const ptrdiff_t top = static_cast<ptrdiff_t>(i * s.stride) - static_cast<ptrdiff_t>(pad);
    rows.Until(top + static_cast<ptrdiff_t>(s.kernel));
    Line lines[kMostTaps];
    size_t count = 0;
    for (size_t r = 0; r < s.kernel; ++r) {
      const ptrdiff_t h = top + static_cast<ptrdiff_t>(r);
      if (rows.Has(h)) lines[count++] = {rows.Row(h), taps + r * s.kernel * args.pitch};
    }
    AnyAcross<V>(lines, count, s.kernel, s.stride, args.pitch,
                 {s.out_width(), s.channels, s.channels, y + i * s.out_width() * s.channels});
  }
}

// Pixel (h, w) of x meets tap (r, s) in pixel ((h + pad - r) / stride, (w + pad - s) / stride) of y
// where that divides: for each residue of w a sum over few taps, which lie side by side from the
// last to the first.
template <class V>
void DepthwiseInputLoop(const Primitives::Depthwise& args, const float* g, const float* taps,
                        float* gx) {
  const WindowShape& s = args.shape;
  const size_t pad = s.kernel / 2, margin = pad + 1;
  Rows<V> rows(g, s.out_height(), s.out_width(), s.channels, margin, s.kernel + 1, args.pitch,
               args.scratch);
  for (size_t h = 0; h < s.height; ++h) {
    rows.Until(static_cast<ptrdiff_t>((h + pad) / s.stride + 1));
    const float* packed = taps;
    for (size_t b = 0; b < s.stride && b < s.width; ++b) {
      // Taps s with s = b + pad modulo the stride.
      const size_t first = (b + pad) % s.stride;
      const size_t across = first < s.kernel ? (s.kernel - 1 - first) / s.stride + 1 : 0;
      const size_t last = first + (across > 0 ? across - 1 : 0) * s.stride;
      // Of the pixel that w = b meets with the last tap; it divides, and is at least -pad.
      const ptrdiff_t column = (static_cast<ptrdiff_t>(b + pad) - static_cast<ptrdiff_t>(last)) /
                               static_cast<ptrdiff_t>(s.stride);
      Line lines[kMostTaps];
      size_t count = 0;
      for (size_t r = (h + pad) % s.stride; r < s.kernel && r <= h + pad; r += s.stride) {
        const ptrdiff_t i = static_cast<ptrdiff_t>((h + pad - r) / s.stride);
        if (across == 0 || !rows.Has(i)) continue;
        const size_t at = static_cast<size_t>(static_cast<ptrdiff_t>(margin) + column);
        lines[count++] = {rows.Row(i) + at * args.pitch, packed + r * across * args.pitch};
      }
      AnyAcross<V>(lines, count, across > 0 ? across : 1, 1, args.pitch,
                   {(s.width - 1 - b) / s.stride + 1, s.stride * s.channels, s.channels,
                    gx + (h * s.width + b) * s.channels});
      packed += s.kernel * across * args.pitch;
    }
  }
}

// sums[r, t] += sum over j of x[r][j * stride + t] * g[j] for kRows rows and kTaps columns.
template <class V, size_t kRows, size_t kTaps>
inline void Products(const float* const* x, const float* g, size_t columns, size_t x_step,
                     size_t x_next, size_t g_step, size_t pitch, size_t row_pitch, float* sums) {
  V total[kRows][kTaps];
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (size_t t = 0; t < kTaps; ++t) total[r][t] = V::Load(sums + r * row_pitch + t * pitch);
  }
#pragma GCC unroll 1
  for (size_t j = 0; j < columns; ++j) {
    const V pixel = V::InRegister(V::Load(g + j * g_step));
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (size_t t = 0; t < kTaps; ++t)
        total[r][t] = V::MulAdd(V::Load(x[r] + j * x_next + t * x_step), pixel, total[r][t]);
    }
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (size_t t = 0; t < kTaps; ++t) total[r][t].Store(sums + r * row_pitch + t * pitch);
  }
}

template <class V>
void DepthwiseKernelLoop(const Primitives::Depthwise& args, const float* x, const float* g,
                         float* sums) {
  const WindowShape& s = args.shape;
  const size_t pad = s.kernel / 2, pitch = args.pitch, row_pitch = s.kernel * pitch;
  Rows<V> rows(x, s.height, s.width, s.channels, pad, s.kernel, pitch, args.scratch);
  // Behind those.
  float* copy = args.scratch + s.kernel * (s.width + 2 * pad) * pitch;
  const bool copied = s.channels % V::kLanes != 0;
  Rows<V> gradients(g, s.out_height(), s.out_width(), s.channels, 0, 1, pitch, copy);
  const size_t next = s.stride * pitch, columns = s.out_width();
  for (size_t i = 0; i < s.out_height(); ++i) {
    const ptrdiff_t top = static_cast<ptrdiff_t>(i * s.stride) - static_cast<ptrdiff_t>(pad);
    rows.Until(top + static_cast<ptrdiff_t>(s.kernel));
    if (copied) gradients.Until(static_cast<ptrdiff_t>(i + 1));
    const float* g_row =
        copied ? gradients.Row(static_cast<ptrdiff_t>(i)) : g + i * columns * s.channels;
    const size_t g_step = copied ? pitch : s.channels;
    const float* lines[kMostTaps];
    size_t from = s.kernel, count = 0;  // The first row of the kernel that lies on the image.
    for (size_t r = 0; r < s.kernel; ++r) {
      const ptrdiff_t h = top + static_cast<ptrdiff_t>(r);
      if (!rows.Has(h)) continue;
      if (count == 0) from = r;
      lines[count++] = rows.Row(h);
    }
    for (size_t c = 0; c < s.channels; c += V::kLanes) {
      const float* x_rows[kMostTaps];
      for (size_t r = 0; r < count; ++r) x_rows[r] = lines[r] + c;
      float* to = sums + from * row_pitch + c;
      if (s.kernel == 3 && count == 3) {
        Products<V, 3, 3>(x_rows, g_row + c, columns, pitch, next, g_step, pitch, row_pitch, to);
      } else if (s.kernel == 3) {
        for (size_t r = 0; r < count; ++r, to += row_pitch)
          Products<V, 1, 3>(x_rows + r, g_row + c, columns, pitch, next, g_step, pitch, 0, to);
      } else if (s.kernel == 5) {
        size_t r = 0;
        for (; r + 2 <= count; r += 2, to += 2 * row_pitch)
          Products<V, 2, 5>(x_rows + r, g_row + c, columns, pitch, next, g_step, pitch, row_pitch,
                            to);
        if (r < count)
          Products<V, 1, 5>(x_rows + r, g_row + c, columns, pitch, next, g_step, pitch, 0, to);
      } else {
        for (size_t r = 0; r < count; ++r) {
          for (size_t t = 0; t < s.kernel; ++t, to += pitch) {
            const float* tap = x_rows[r] + t * pitch;
            Products<V, 1, 1>(&tap, g_row + c, columns, pitch, next, g_step, pitch, 0, to);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace sparsenas
