// Prints what the KxK convolutions reach on one core, as a fraction of the measured peak.
//
//   sparsenas_bench_conv [isa]
//
// "Useful" operations are two for each nonzero weight and output pixel. Times contain all that a
// kernel does, filling panels and splitting the input included; buffers stay where they are from
// call to call. The kernels of a shape take turns, and each is as fast as its fastest turn.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>

#include "base/peak.h"
#include "kernels/conv_dense/conv_dense.h"
#include "kernels/conv_direct/conv_direct.h"
#include "kernels/conv_pattern/conv_pattern.h"
#include "kernels/tensor.h"
#include "testing/check.h"

using namespace sparsenas;

namespace {

double Seconds(const std::function<void()>& run) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  run();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A kernel with its weights, ready to be called.
struct Entry {
  std::string label;  // "conv_direct_avx512 90%"
  double operations;
  std::function<void()> run;
  double seconds = 1e9;
};

struct Shape {
  size_t in_channels, out_channels, side, kernel, stride;
};

template <class Weights, class Args>
struct Case {
  Weights weights;
  Args args;
  AlignedArray<float> scratch;
};

class Bench {
 public:
  explicit Bench(Isa isa) : isa_(isa) {}

  void Run(const Shape& shape) {
    const size_t out_side = OutSide(shape.side, shape.stride);
    const size_t pixels = out_side * out_side;
    in_ = AlignedArray<float>(shape.in_channels * PlaneStride(shape.side, shape.side));
    out_ = AlignedArray<float>(shape.out_channels * PlaneStride(out_side, out_side));
    for (size_t i = 0; i < in_.size(); ++i) in_[i] = static_cast<float>(random_() % 1000) * 1e-3f;
    const size_t columns = shape.in_channels * shape.kernel * shape.kernel;
    const std::vector<float> bias(shape.out_channels, 0.5f);
    std::vector<Entry> entries;

    {
      std::vector<float> weight = RandomFloats(shape.out_channels * columns, random_);
      const auto dense = std::make_shared<Case<ConvDenseWeights, ConvDenseArgs>>();
      dense->weights = PackConvDense(weight.data(), bias.data(), shape.out_channels,
                                     shape.in_channels, shape.kernel, pixels, isa_);
      dense->weights.Fill(dense->args);
      SetInput(shape, dense->args);
      dense->scratch = AlignedArray<float>(ConvDenseScratchFloats(
          shape.side, shape.side, shape.in_channels, shape.kernel, shape.stride));
      dense->args.scratch = dense->scratch.data();
      Add(entries, BestConvDense(isa_), dense, "",
          2.0 * static_cast<double>(weight.size() * pixels));
    }
    for (const double zeros : {0.7, 0.8, 0.9, 0.95}) {
      const Sparse sparse(shape.out_channels, columns, [&](size_t) { return zeros; }, random_);
      const auto direct = std::make_shared<Case<ConvDirectWeights, ConvDirectArgs>>();
      direct->weights = PackConvDirect(sparse.rows, bias.data(), shape.kernel, pixels, isa_);
      direct->weights.Fill(direct->args);
      SetInput(shape, direct->args);
      direct->scratch = AlignedArray<float>(ConvDirectScratchFloats(
          shape.side, shape.side, shape.in_channels, shape.kernel, shape.stride));
      direct->args.scratch = direct->scratch.data();
      Add(entries, BestConvDirect(isa_), direct, Percent(zeros),
          2.0 * static_cast<double>(sparse.rows.nonzeros * pixels));
    }

    if (shape.kernel == 3) {
      const Sparse sparse = PatternSparse(shape.out_channels, shape.in_channels);
      const auto pattern = std::make_shared<Case<ConvPatternWeights, ConvPatternArgs>>();
      pattern->weights =
          PackConvPattern(sparse.rows, bias.data(), shape.side, shape.side, shape.stride, isa_);
      pattern->weights.Fill(pattern->args);
      SetInput(shape, pattern->args);
      pattern->scratch = AlignedArray<float>(ConvPatternScratchFloats(
          shape.side, shape.side, shape.in_channels, shape.out_channels, shape.stride));
      pattern->args.scratch = pattern->scratch.data();
      Add(entries, BestConvPattern(isa_), pattern, " 4/9 of 28%",
          2.0 * static_cast<double>(sparse.rows.nonzeros * pixels));
    }

    double peak = 0;
    for (int turn = 0; turn < 12; ++turn) {
      peak = std::max(peak, MeasurePeakGflops(isa_));
      for (Entry& entry : entries) {
        for (int i = 0; i < 3; ++i) entry.seconds = std::min(entry.seconds, Seconds(entry.run));
      }
    }
    for (const Entry& entry : entries) {
      const double gflops = entry.operations / entry.seconds / 1e9;
      char name[64];
      std::snprintf(name, sizeof name, "%zux%zu @%zu %zux%zu /%zu", shape.in_channels,
                    shape.out_channels, shape.side, shape.kernel, shape.kernel, shape.stride);
      std::printf("%-30s %-26s %9.1f us %8.1f GFLOP/s %6.3f\n", entry.label.c_str(), name,
                  entry.seconds * 1e6, gflops, gflops / peak);
      Mean& mean = means_[entry.label];
      mean.fraction += std::log(gflops / peak);
      mean.speedup += std::log(entries[0].seconds / entry.seconds);
      ++mean.count;
    }
  }

  void PrintMeans() {
    for (const auto& [label, mean] : means_)
      std::printf("%-30s geometric mean of peak %.3f, of speed over dense %.2f\n", label.c_str(),
                  std::exp(mean.fraction / mean.count), std::exp(mean.speedup / mean.count));
    means_.clear();
  }

 private:
  // A random sparse matrix without the empty rows of RandomSparse.
  struct Sparse {
    std::vector<uint32_t> counts, column;
    std::vector<float> value;
    SparseRows rows;
    template <class Zeros>
    Sparse(size_t d, size_t c, Zeros zeros, Random& random) : counts(d) {
      std::uniform_real_distribution<double> uniform;
      for (size_t i = 0; i < d * c; ++i) {
        if (uniform(random) < zeros(i)) continue;
        ++counts[i / c];
        column.push_back(static_cast<uint32_t>(i % c));
        value.push_back(static_cast<float>(uniform(random) - 0.5));
      }
      rows = {d, c, value.size(), counts.data(), column.data(), value.data()};
    }
  };

  // 28% of the kernels, each with one of eight patterns of four taps.
  Sparse PatternSparse(size_t d, size_t c) {
    std::vector<std::array<bool, 9>> patterns(8);
    for (auto& pattern : patterns) {
      pattern = {};
      pattern[4] = true;
      while (std::count(pattern.begin(), pattern.end(), true) < 4) pattern[random_() % 9] = true;
    }
    std::vector<int> chosen(d * c, -1);
    for (int& pattern : chosen) {
      if (random_() % 100 < 28) pattern = static_cast<int>(random_() % 8);
    }
    return Sparse(
        d, c * 9,
        [&](size_t i) { return chosen[i / 9] >= 0 && patterns[chosen[i / 9]][i % 9] ? 0.0 : 1.0; },
        random_);
  }

  static std::string Percent(double zeros) {
    return " " + std::to_string(static_cast<int>(zeros * 100 + 0.5)) + "%";
  }

  template <class Args>
  void SetInput(const Shape& shape, Args& args) {
    const size_t out_side = OutSide(shape.side, shape.stride);
    args.in.height = args.in.width = shape.side;
    args.in.stride = shape.stride;
    args.in.plane = PlaneStride(shape.side, shape.side);
    args.in.data = in_.data();
    args.out_stride = PlaneStride(out_side, out_side);
    args.out = out_.data();
    args.activation = ActivationOf(Activation::kRelu);
  }

  template <class Args, class Shared>
  void Add(std::vector<Entry>& entries, const Kernel<Args>& kernel, Shared shared,
           const std::string& suffix, double operations) {
    entries.push_back(
        {kernel.name + suffix, operations, [run = kernel.run, shared] { run(shared->args); }});
  }

  Isa isa_;
  Random random_{0};
  AlignedArray<float> in_, out_;
  struct Mean {
    double fraction = 0, speedup = 0;  // Sums of logarithms.
    int count = 0;
  };
  std::map<std::string, Mean> means_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    const Isa isa = argc > 1 ? ParseIsa(argv[1]) : DefaultIsa();
    Bench bench(isa);
    std::printf("%s, %s, peak %.1f GFLOP/s\n", CpuName().c_str(), IsaName(isa),
                MeasurePeakGflops(isa));
    for (const Shape& shape : {Shape{64, 64, 56, 3, 1}, Shape{128, 128, 28, 3, 1},
                               Shape{256, 256, 14, 3, 1}, Shape{512, 512, 7, 3, 1}})
      bench.Run(shape);
    bench.PrintMeans();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
