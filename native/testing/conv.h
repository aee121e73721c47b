// What the tests of the KxK convolutions share: problems around every boundary of their loops, and
// what must come out of them.
#pragma once

#include "kernels/conv_panel.h"
#include "kernels/tensor.h"
#include "testing/check.h"
#include "testing/guarded.h"

namespace sparsenas {

struct ConvCase {
  size_t in_channels, out_channels, height, width, kernel, stride;
  double density;
  bool one;            // A single nonzero.
  size_t most_taps;    // Of each kernel of one input and output channel, besides the centre.
  size_t extra_plane;  // Floats between channels, in and out, beyond what is needed.
  Activation activation;
  Guard guard;
  size_t shares;  // Computed one after the other, the first one last.
};

struct ConvProblem {
  ConvCase shape;
  size_t out_height, out_width, in_plane, out_plane;
  std::vector<float> weight;  // [D, C, K, K]
  std::vector<float> bias;
  std::vector<uint32_t> counts, column;
  std::vector<float> value;
  SparseRows rows;  // The same as `weight`.
  GuardedArray<float> in;
  std::vector<ExactSum> want;  // [D, out height, out width]

  ConvProblem(const ConvCase& shape, Random& random)
      : shape(shape),
        out_height(OutSide(shape.height, shape.stride)),
        out_width(OutSide(shape.width, shape.stride)),
        in_plane(PlaneStride(shape.height, shape.width) + shape.extra_plane),
        out_plane(PlaneStride(out_height, out_width) + shape.extra_plane),
        bias(RandomFloats(shape.out_channels, random)),
        in(shape.in_channels * in_plane, shape.guard),  // The padding stays NaN.
        want(shape.out_channels * out_height * out_width) {
    std::normal_distribution<float> normal;
    for (size_t c = 0; c < shape.in_channels; ++c) {
      for (size_t p = 0; p < shape.height * shape.width; ++p) in[c * in_plane + p] = normal(random);
    }
    const size_t taps = shape.kernel * shape.kernel, columns = shape.in_channels * taps;
    const RandomSparse sparse(shape.out_channels, columns, shape.density, shape.one, random);
    weight.resize(shape.out_channels * columns);
    for (size_t d = 0, k = 0; d < shape.out_channels; ++d) {
      for (const size_t end = k + sparse.counts[d]; k < end; ++k)
        weight[d * columns + sparse.column[k]] = sparse.value[k];
    }
    for (size_t i = 0; i < weight.size(); i += taps) {
      size_t left = shape.most_taps;
      for (size_t tap = 0; tap < taps; ++tap) {
        if (weight[i + tap] != 0 && tap != taps / 2 && left-- == 0) {
          weight[i + tap] = 0;
          left = 0;
        }
      }
    }
    for (size_t d = 0; d < shape.out_channels; ++d) {
      counts.push_back(0);
      for (size_t j = 0; j < columns; ++j) {
        if (weight[d * columns + j] == 0) continue;
        ++counts.back();
        column.push_back(static_cast<uint32_t>(j));
        value.push_back(weight[d * columns + j]);
      }
    }
    rows = {shape.out_channels, columns, value.size(), counts.data(), column.data(), value.data()};
    Convolve();
  }

  // The formula.
  void Convolve() {
    const size_t kernel = shape.kernel;
    for (size_t d = 0, k = 0; d < shape.out_channels; ++d) {
      ExactSum* sums = want.data() + d * out_height * out_width;
      for (size_t p = 0; p < out_height * out_width; ++p) sums[p].Add(bias[d]);
      for (const size_t end = k + counts[d]; k < end; ++k) {
        const size_t c = column[k] / (kernel * kernel);
        const size_t r = column[k] / kernel % kernel, s = column[k] % kernel;
        for (size_t y = 0; y < out_height; ++y) {
          for (size_t x = 0; x < out_width; ++x) {
            // Below zero becomes large.
            const size_t in_y = y * shape.stride + r - kernel / 2;
            const size_t in_x = x * shape.stride + s - kernel / 2;
            if (in_y >= shape.height || in_x >= shape.width) continue;
            sums[y * out_width + x].Add(static_cast<double>(value[k]) *
                                        in[c * in_plane + in_y * shape.width + in_x]);
          }
        }
      }
    }
  }

  // Sets what does not come from the weights, runs the kernel and compares.
  template <class Args>
  void Check(const Kernel<Args>& kernel, Args& args, size_t scratch_floats) const {
    GuardedArray<float> out(shape.out_channels * out_plane, shape.guard);
    GuardedArray<float> scratch(scratch_floats, shape.guard);
    args.in.height = shape.height;
    args.in.width = shape.width;
    args.in.stride = shape.stride;
    args.in.plane = in_plane;
    args.in.data = in.data();
    args.out_stride = out_plane;
    args.out = out.data();
    args.scratch = scratch.data();
    args.activation = ActivationOf(shape.activation);
    args.shares = shape.shares;
    for (args.share = args.shares; args.share-- > 0;) kernel.run(args);
    for (size_t d = 0; d < shape.out_channels; ++d) {
      for (size_t y = 0; y < out_height; ++y) {
        for (size_t x = 0; x < out_width; ++x) {
          const ExactSum& sum = want[(d * out_height + y) * out_width + x];
          const float got = out[d * out_plane + y * out_width + x];
          Expect(sum.Matches(got, shape.activation),
                 "%s: C=%zu D=%zu K=%zu %zux%zu stride %zu density %g: expected %g before the "
                 "activation, found %g at d=%zu y=%zu x=%zu",
                 kernel.name, shape.in_channels, shape.out_channels, shape.kernel, shape.height,
                 shape.width, shape.stride, shape.density, sum.value, static_cast<double>(got), d,
                 y, x);
        }
      }
    }
  }
};

// Calls test(problem) for shapes around every boundary of the loops, then for random ones.
// `most_taps` as in ConvCase.
template <class Test>
void ForEachConvProblem(const std::vector<size_t>& kernels, size_t most_taps, Test test) {
  Random random(7);
  size_t i = 0;
  const auto run = [&](size_t c, size_t d, size_t height, size_t width) {
    for (const double density : {0.0, 0.1, 1.0}) {
      const ConvCase shape = {c,
                              d,
                              height,
                              width,
                              kernels[i % kernels.size()],
                              1 + i / 2 % 2,
                              density,
                              density == 0.0 && i % 2 == 1,
                              most_taps,
                              i % 4 == 3 ? size_t{16} : size_t{0},
                              kActivations[i % 7],
                              i % 2 == 0 ? Guard::kBefore : Guard::kAfter,
                              1 + i / 3 % 3};
      test(ConvProblem(shape, random));
      ++i;
    }
  };
  // Every number of vectors in a tile of every instruction set and one pixel beside it, with rows
  // shorter and longer than a vector. Sizes are of the input: those with stride 2 come out smaller.
  for (const size_t lanes : {4, 8, 16}) {
    for (size_t vectors = 1; vectors <= 13; ++vectors) {
      const size_t width = std::vector<size_t>{1, 2, 3, 5, 7, 9, 14, 17, 33}[i % 9];
      for (size_t pixels = vectors * lanes - 1; pixels <= vectors * lanes + 1; ++pixels) {
        run(std::vector<size_t>{1, 2, 5, 7, 16}[i % 5],
            std::vector<size_t>{1, 7, 8, 9, 16, 19}[i % 6], CeilDiv(pixels, width), width);
      }
    }
  }
  for (size_t width = 1; width <= 35; ++width) run(1 + i % 4, 1 + i % 3, 1 + i % 5, width);
  // Planes smaller than the kernel.
  for (const size_t height : {1, 2, 3}) {
    for (const size_t width : {1, 2, 3}) run(3, 3, height, width);
  }
  std::uniform_int_distribution<size_t> side(1, 30), channels(1, 24);
  for (int repeat = 0; repeat < 60; ++repeat)
    run(channels(random), channels(random), side(random), side(random));
  // More taps than a panel holds, more sums than the cache.
  run(40, 24, 14, 14);
  for (const size_t d : {63, 64, 65, 127, 128, 129, 257}) run(3, d, 8, 8);
}

}  // namespace sparsenas
