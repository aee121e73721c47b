// What the KxK convolutions share: a tile of output pixels as the columns of a matrix.
//
// A convolution is a matrix times in_at[(c, r, s), p], the pixel of channel c that tap (r, s)
// multiplies for output pixel p. That matrix is never there as a whole: a panel is some of its rows
// for one tile of pixels, filled when they are needed and small enough to be used from the level 1
// cache. Filling costs one load and one store for each tap and vector, against a multiply-add for
// each nonzero of some output channel there; in return all loads of the loops are aligned (a load
// across two cache lines takes twice as long), rows have no padding between them and the kernel
// size and stride are nobody else's concern.
//
// Output pixels are numbered along the whole plane, p = y * width + x, so that narrow planes fill
// vectors too. In a plane of the output's width, tap (r, s) of all lanes is then a fixed distance
// away, except that lanes outside the image are zero. With stride 1 the input is such a plane; with
// stride 2 it is split into four, of even and odd rows and columns.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned.h"
#include "kernels/tensor.h"

namespace sparsenas {

// The input of a convolution with padding kernel / 2.
struct ConvInput {
  size_t height;
  size_t width;
  size_t channels;  // C
  size_t kernel;    // K, odd.
  size_t stride;    // S, 1 or 2. The output is OutSide(height, S) x OutSide(width, S).
  size_t plane;     // Floats between channels.
  const float* data;
};

// A row of the matrix above.
struct ConvTap {
  uint32_t channel;
  uint32_t tap;  // r * K + s
};

// Floats of a panel that fills most of the level 1 cache. The rest of it is for sums and weights
// passing through.
size_t ConvPanelFloats();

// Floats of scratch memory a ConvPanel of `panel` floats needs.
size_t ConvPanelScratchFloats(size_t height, size_t width, size_t channels, size_t kernel,
                              size_t stride, size_t panel);

namespace {

// The most vectors of a tile, of whatever instruction set: a scalar tile is as wide as one vector
// of AVX-512.
constexpr size_t kConvPanelVectors = 16;
constexpr size_t kConvPanelLanes = 16;

// Where things lie in the scratch memory of a ConvPanel.
struct ConvPanelScratch {
  size_t sources;  // [K, K], pointers.
  size_t columns;  // [K, out width], uint32.
  size_t lanes;    // [K, K, kConvPanelVectors], V::Some, at most kConvPanelLanes floats large.
  size_t planes;   // [C, S, S, plane], only with stride 2.
  size_t plane;
  size_t floats;  // All of them. The panel comes after.

  ConvPanelScratch(size_t height, size_t width, size_t channels, size_t kernel, size_t stride)
      : sources(0),
        columns(RoundUp(kernel * kernel * sizeof(float*) / sizeof(float), kStrideFloats)),
        lanes(columns + RoundUp(kernel * OutSide(width, stride), kStrideFloats)),
        planes(lanes + kernel * kernel * kConvPanelVectors * kConvPanelLanes),
        // A row may be written up to 15 floats too far.
        plane(PlaneStride(1, OutSide(height, stride) * OutSide(width, stride) + kStrideFloats)),
        floats(planes + (stride == 1 ? 0 : channels * stride * stride * plane)) {}
};

template <class V>
class ConvPanel {
 public:
  // Splits the input if it must be. `scratch` is as large as ConvPanelScratchFloats says.
  ConvPanel(const ConvInput& input, float* scratch)
      : input_(input),
        scratch_(input.height, input.width, input.channels, input.kernel, input.stride),
        out_width_(OutSide(input.width, input.stride)),
        taps_(input.kernel * input.kernel),
        sources_(reinterpret_cast<const float**>(scratch + scratch_.sources)),
        columns_(reinterpret_cast<uint32_t*>(scratch + scratch_.columns)),
        lanes_(reinterpret_cast<typename V::Some*>(scratch + scratch_.lanes)),
        planes_(scratch + scratch_.planes),
        panel_(scratch + scratch_.floats),
        begin_(input.stride == 1 ? input.data : planes_),
        plane_(input.stride == 1 ? input.plane : 4 * scratch_.plane),
        end_(begin_ + input.channels * plane_) {
    static_assert(sizeof(typename V::Some) <= kConvPanelLanes * sizeof(float));
    FindSources();
    FindColumns();
    if (input.stride == 2) Split();
  }

  float* data() const { return panel_; }

  // The tile is from now on `vectors` vectors of output pixels from p on.
  void MoveTo(size_t p, size_t vectors) {
    for (size_t tap = 0; tap < taps_; ++tap)
      sources_[tap] += static_cast<ptrdiff_t>(p) - static_cast<ptrdiff_t>(p_);
    p_ = p;
    const ptrdiff_t kernel = input_.kernel, width = out_width_;
    typename V::Some* lanes = lanes_;
    for (ptrdiff_t r = 0; r < kernel; ++r) {
      const Source row = SourceOf(r, input_.height);
      // Output pixels whose row of the input exists.
      const ptrdiff_t begin = -row.shift * width, end = (row.size - row.shift) * width;
      for (ptrdiff_t s = 0; s < kernel; ++s, lanes += kConvPanelVectors) {
        size_t x = p % out_width_;
        ptrdiff_t first = p;
        for (size_t u = 0; u < vectors; ++u, first += V::kLanes) {
          lanes[u] = V::Where(columns_[s * width + x] & Below(end - first) & ~Below(begin - first));
          x += V::kLanes;
          while (x >= out_width_) x -= out_width_;
        }
      }
    }
  }

  // Fills the panel with `count` rows of kVectors vectors, `pitch` floats from row to row.
  template <size_t kVectors>
  void Fill(const ConvTap* taps, size_t count, size_t pitch) const {
    float* row = panel_;
    const ConvTap* end = taps + count;
    while (taps != end) {
      const uint32_t tap = taps->tap;
      const typename V::Some* memory = lanes_ + tap * kConvPanelVectors;
      const float* first = sources_[tap];
      typename V::Some lanes[kVectors];
#pragma GCC unroll 16
      for (size_t u = 0; u < kVectors; ++u) lanes[u] = memory[u];
      // Neighbours in the list often have the same tap.
      do {
        const float* in = first + taps->channel * plane_;
        if (__builtin_expect(Inside<kVectors>(in), 1)) {
#pragma GCC unroll 16
          for (size_t u = 0; u < kVectors; ++u)
            V::Keep(V::Load(in + u * V::kLanes), lanes[u]).Store(row + u * V::kLanes);
        } else {
          FillEnd<kVectors>(in, memory, row);
        }
        row += pitch;
      } while (++taps != end && taps->tap == tap);
    }
  }

  // Walks over all taps of all channels, tap by tap.
  class Walk {
   public:
    // Writes the row of the next tap, kVectors vectors.
    template <size_t kVectors>
    void Fill(const ConvPanel& panel, float* row) {
      const typename V::Some* lanes = panel.lanes_ + tap_ * kConvPanelVectors;
      const float* in = panel.sources_[tap_] + channel_;
      if (__builtin_expect(panel.template Inside<kVectors>(in), 1)) {
#pragma GCC unroll 16
        for (size_t u = 0; u < kVectors; ++u)
          V::Keep(V::Load(in + u * V::kLanes), lanes[u]).Store(row + u * V::kLanes);
      } else {
        FillEnd<kVectors>(in, lanes, row);
      }
      if (++tap_ < panel.taps_) return;
      tap_ = 0;
      channel_ += panel.plane_;
    }

   private:
    size_t tap_ = 0, channel_ = 0;
  };

 private:
  template <size_t kVectors>
  bool Inside(const float* in) const {
    return in >= begin_ && in + kVectors * V::kLanes <= end_;
  }

  // A row at the ends of the input, where lanes outside the image may be outside the memory too.
  template <size_t kVectors>
  static void FillEnd(const float* in, const typename V::Some* lanes, float* row) {
#pragma GCC unroll 1
    for (size_t u = 0; u < kVectors; ++u)
      V::Load(in + u * V::kLanes, lanes[u]).Store(row + u * V::kLanes);
  }

  // Where a row (or column) r of the kernel finds its pixels along one axis: in which of the S
  // phases, how many pixels that has, and how far from the output pixel.
  struct Source {
    ptrdiff_t phase, size, shift;
  };
  Source SourceOf(ptrdiff_t r, ptrdiff_t side) const {
    const ptrdiff_t offset = r - static_cast<ptrdiff_t>(input_.kernel / 2);
    if (input_.stride == 1) return {0, side, offset};
    const ptrdiff_t phase = offset & 1;
    return {phase, (side + 1 - phase) / 2, (offset - phase) / 2};
  }

  // The pixel of each tap for the first output pixel of the tile in channel 0.
  void FindSources() {
    const ptrdiff_t width = out_width_;
    for (size_t r = 0, tap = 0; r < input_.kernel; ++r) {
      for (size_t s = 0; s < input_.kernel; ++s, ++tap) {
        const Source row = SourceOf(r, input_.height), column = SourceOf(s, input_.width);
        sources_[tap] = begin_ +
                        (2 * row.phase + column.phase) * static_cast<ptrdiff_t>(scratch_.plane) +
                        row.shift * width + column.shift;
      }
    }
  }

  // Bits of the lanes before lane n.
  static uint32_t Below(ptrdiff_t n) {
    return n <= 0 ? 0 : n >= static_cast<ptrdiff_t>(V::kLanes) ? ~0u : (1u << n) - 1;
  }

  // For a vector that begins in column x: which lanes have a pixel in column s of the kernel.
  void FindColumns() {
    const ptrdiff_t width = out_width_;
    for (size_t s = 0; s < input_.kernel; ++s) {
      const Source column = SourceOf(s, input_.width);
      for (ptrdiff_t x = 0; x < width; ++x) {
        uint32_t bits = 0;
        ptrdiff_t lane_x = x;
        for (size_t lane = 0; lane < V::kLanes; ++lane) {
          const ptrdiff_t from = lane_x + column.shift;
          if (from >= 0 && from < column.size) bits |= 1u << lane;
          if (++lane_x == width) lane_x = 0;
        }
        columns_[s * width + x] = bits;
      }
    }
  }

  // Even and odd pixels of even and odd rows into planes of their own.
  void Split() const {
    const float* end = input_.data + input_.channels * input_.plane;
    for (size_t c = 0; c < input_.channels; ++c) {
      for (size_t y = 0; y < input_.height; ++y) {
        const float* in = input_.data + c * input_.plane + y * input_.width;
        float* even = planes_ + (4 * c + 2 * (y & 1)) * scratch_.plane + (y / 2) * out_width_;
        float* odd = even + scratch_.plane;
        size_t x = 0;
        // What is written beyond the row is written again, or is padding.
        for (; x < out_width_ && end - in >= static_cast<ptrdiff_t>(2 * (x + V::kLanes));
             x += V::kLanes) {
          const V low = V::Load(in + 2 * x), high = V::Load(in + 2 * x + V::kLanes);
          V::Even(low, high).Store(even + x);
          V::Odd(low, high).Store(odd + x);
        }
        for (; x < out_width_; ++x) {
          even[x] = in[2 * x];
          odd[x] = 2 * x + 1 < input_.width ? in[2 * x + 1] : 0.0f;
        }
      }
    }
  }

  const ConvInput& input_;
  const ConvPanelScratch scratch_;
  const size_t out_width_, taps_;
  const float** sources_;
  uint32_t* columns_;
  typename V::Some* lanes_;
  float* planes_;
  float* panel_;
  // The planes that taps read, of the input or split.
  const float* begin_;
  size_t plane_;
  const float* end_;
  size_t p_ = 0;
};

}  // namespace
}  // namespace sparsenas
