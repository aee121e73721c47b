// The loop of pooling, over a vector type and what becomes of the pixels of a window.
//
// Windows inside the image go a vector at a time: first the rows of the windows become one, then
// its pixels are combined, with stride 2 as even and odd ones. Windows that reach into the padding,
// one or two in a row, and strides above 2 go one by one.
#pragma once

#include "kernels/finish.h"
#include "kernels/pool.h"

namespace sparsenas {
namespace {

// Reduce has Combine(a, b), of vectors and of floats, and Scale(pixels), what the result is
// multiplied with.
template <class V, class Reduce>
class PoolPlane {
 public:
  PoolPlane(const PoolArgs& args, const float* in, float* out)
      : kernel_(args.kernel),
        stride_(args.stride),
        padding_(args.padding),
        height_(args.height),
        width_(args.width),
        out_height_(WindowsAlong(args.height, args.kernel, args.stride, args.padding)),
        out_width_(WindowsAlong(args.width, args.kernel, args.stride, args.padding)),
        low_(args.activation.low),
        high_(args.activation.high),
        finish_(args.activation),
        in_(in),
        out_(out) {}

  void Run() const {
    // Windows [begin, end) of a row are inside the image.
    size_t begin = (padding_ + stride_ - 1) / stride_;
    size_t end = width_ + padding_ >= kernel_ ? (width_ + padding_ - kernel_) / stride_ + 1 : 0;
    if (stride_ > 2 || begin >= end) begin = end = out_width_;
    for (size_t y = 0; y < out_height_; ++y) {
      const Taps rows(y, *this, height_);
      for (size_t x = 0; x < begin; ++x) One(y, x, rows);
      for (size_t x = begin; x < end; x += V::kLanes) Inside(y, x, end - x, rows);
      for (size_t x = end; x < out_width_; ++x) One(y, x, rows);
    }
    finish_.Curve(out_, out_height_ * out_width_);
  }

 private:
  // The rows or columns [begin, end) of the image that window `i` covers.
  struct Taps {
    size_t begin, end;

    Taps(size_t i, const PoolPlane& plane, size_t side) {
      const size_t first = i * plane.stride_;  // In the padded image.
      begin = first < plane.padding_ ? 0 : first - plane.padding_;
      end = first + plane.kernel_ - plane.padding_;
      end = end < side ? end : side;
    }
  };

  void One(size_t y, size_t x, const Taps& rows) const {
    const Taps columns(x, *this, width_);
    float result = in_[rows.begin * width_ + columns.begin];
    for (size_t r = rows.begin; r < rows.end; ++r) {
      for (size_t s = columns.begin; s < columns.end; ++s) {
        if (r == rows.begin && s == columns.begin) continue;
        result = Reduce::Combine(result, in_[r * width_ + s]);
      }
    }
    result *= Reduce::Scale((rows.end - rows.begin) * (columns.end - columns.begin));
    result = result < low_ ? low_ : result;
    out_[y * out_width_ + x] = result > high_ ? high_ : result;
  }

  // Up to kLanes windows from x on, `left` of them inside the image.
  void Inside(size_t y, size_t x, size_t left, const Taps& rows) const {
    const size_t column = x * stride_ - padding_;
    V result = V::Set(0.0f);
    for (size_t s = 0; s < kernel_; s += stride_) {
      V each;
      if (stride_ == 1) {
        each = Rows(rows, column + s);
      } else {
        const V low = Rows(rows, column + s), high = Rows(rows, column + s + V::kLanes);
        each = V::Even(low, high);
        if (s + 1 < kernel_) each = Reduce::Combine(each, V::Odd(low, high));
      }
      result = s == 0 ? each : Reduce::Combine(result, each);
    }
    result = V::Mul(result, V::Set(Reduce::Scale((rows.end - rows.begin) * kernel_)));
    result = finish_.Clamp(result);
    float* out = out_ + y * out_width_ + x;
    if (left >= V::kLanes) {
      result.Store(out);
    } else {
      result.Store(out, V::First(left));
    }
  }

  // The rows combined, kLanes pixels from `column` on; zero beyond the image.
  V Rows(const Taps& rows, size_t column) const {
    const float* in = in_ + rows.begin * width_ + column;
    if (column + V::kLanes <= width_) {
      V result = V::Load(in);
      for (size_t r = rows.begin + 1; r < rows.end; ++r)
        result = Reduce::Combine(result, V::Load(in += width_));
      return result;
    }
    if (column >= width_) return V::Set(0.0f);
    const typename V::Lanes lanes = V::First(width_ - column);
    V result = V::Load(in, lanes);
    for (size_t r = rows.begin + 1; r < rows.end; ++r)
      result = Reduce::Combine(result, V::Load(in += width_, lanes));
    return result;
  }

  const size_t kernel_, stride_, padding_;
  const size_t height_, width_, out_height_, out_width_;
  const float low_, high_;
  const Finish<V> finish_;
  const float* const in_;
  float* const out_;
};

template <class V, class Reduce>
inline void Pool(const PoolArgs& args) {
  for (size_t c = 0; c < args.channels; ++c)
    PoolPlane<V, Reduce>(args, args.in + c * args.in_stride, args.out + c * args.out_stride).Run();
}

}  // namespace
}  // namespace sparsenas
