// Prints what each kernel reaches on one core, as a fraction of the measured peak.
//
//   sparsenas_bench_kernels [isa]
//
// "Useful" operations are two for each nonzero weight and pixel. Buffers are as warm as in a
// network whose activations take turns in a small arena.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>

#include "base/peak.h"
#include "kernels/add/add.h"
#include "kernels/conv1x1/conv1x1.h"
#include "kernels/conv_hwc/conv_hwc.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/fully_connected/fully_connected.h"
#include "kernels/global_average_pool/global_average_pool.h"
#include "kernels/tensor.h"
#include "testing/check.h"

using namespace sparsenas;

namespace {

// Seconds of one call, the best of many.
double Seconds(const std::function<void()>& run) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9, spent = 0;
  while (spent < 0.03) {
    const Clock::time_point start = Clock::now();
    run();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds);
    spent += seconds;
  }
  return best;
}

// A random sparse matrix with zeros in blocks of `height` rows each.
struct BlockRows {
  std::vector<uint32_t> counts, column;
  std::vector<float> value;
  SparseRows rows;

  BlockRows(size_t d, size_t c, size_t height, int zeros, Random& random) : counts(d) {
    std::bernoulli_distribution keep(1 - zeros / 100.0);
    std::vector<bool> kept(CeilDiv(d, height) * c);
    for (size_t i = 0; i < kept.size(); ++i) kept[i] = keep(random);
    for (size_t i = 0; i < c * d; ++i) {
      if (!kept[i / c / height * c + i % c]) continue;
      ++counts[i / c];
      column.push_back(static_cast<uint32_t>(i % c));
    }
    value = RandomFloats(column.size(), random);
    rows = {d, c, value.size(), counts.data(), column.data(), value.data()};
  }
};

struct GeometricMean {
  double logarithms = 0;
  int count = 0;

  void Add(double x) {
    logarithms += std::log(x);
    ++count;
  }
  double value() const { return std::exp(logarithms / count); }
};

struct Bench {
  Isa isa;
  double peak;
  // Fractions of the peak, by kernel and zeros.
  std::map<std::string, GeometricMean> means{};
  Random random{0};

  void Print(const char* kernel, const std::string& shape, double operations, double seconds) {
    const double gflops = operations / seconds / 1e9;
    std::printf("%-38s %-22s %9.1f us %8.1f GFLOP/s %6.3f\n", kernel, shape.c_str(), seconds * 1e6,
                gflops, gflops / peak);
  }

  AlignedArray<float> Tensor(size_t size) {
    AlignedArray<float> tensor(size);
    for (size_t i = 0; i < size; ++i) tensor[i] = static_cast<float>(random() % 1000) * 1e-3f;
    return tensor;
  }

  // Times one packing of a 1x1 convolution.
  template <class Args, class Weights>
  void Conv1x1(const Kernel<Args>& kernel, const Weights& packed, const std::string& shape,
               const std::string& group, size_t nonzeros, size_t pixels,
               const AlignedArray<float>& in, AlignedArray<float>& out) {
    const size_t stride = in.size() / packed.in_channels;
    Args args{};
    packed.Fill(args);
    SetInStride(args, stride);
    args.pixels = pixels;
    args.out_stride = stride;
    args.in = in.data();
    args.out = out.data();
    args.activation = ActivationOf(Activation::kRelu6);
    const double operations = 2.0 * static_cast<double>(nonzeros * pixels);
    const double seconds = Seconds([&] { kernel.run(args); });
    Print(kernel.name, shape, operations, seconds);
    means[kernel.name + group].Add(operations / seconds / 1e9 / peak);
  }
  static void SetInStride(Conv1x1DenseArgs& args, size_t stride) { args.in_stride = stride; }
  template <int kRows>
  static void SetInStride(Conv1x1SparseArgs<kRows>&, size_t) {}

  // With zeros in blocks of kRows output channels each.
  template <int kRows>
  void Conv1x1Sparse(const Kernel<Conv1x1SparseArgs<kRows>>& kernel, const std::string& shape,
                     size_t c, size_t d, size_t pixels, const AlignedArray<float>& in,
                     AlignedArray<float>& out) {
    const std::vector<float> bias(d, 0.5f);
    for (const int zeros : {70, 80, 90, 95}) {
      const BlockRows weight(d, c, kRows, zeros, random);
      const std::string percent = " " + std::to_string(zeros) + "%";
      Conv1x1(kernel, PackConv1x1Block<kRows>(weight.rows, bias.data(), in.size() / c, pixels, isa),
              shape + percent, percent, weight.value.size(), pixels, in, out);
    }
  }

  void Conv1x1(size_t c, size_t d, size_t side) {
    const size_t pixels = side * side, stride = PlaneStride(side, side);
    const AlignedArray<float> in = Tensor(c * stride);
    AlignedArray<float> out(d * stride);
    const std::string shape =
        std::to_string(c) + "x" + std::to_string(d) + " @" + std::to_string(side);
    const std::vector<float> weight = RandomFloats(c * d, random), bias(d, 0.5f);
    Conv1x1(BestConv1x1Dense(isa), PackConv1x1Dense(weight.data(), bias.data(), d, c), shape, "",
            c * d, pixels, in, out);
    Conv1x1Sparse(BestConv1x1Unstructured(isa), shape, c, d, pixels, in, out);
    Conv1x1Sparse(BestConv1x1Block2(isa), shape, c, d, pixels, in, out);
    Conv1x1Sparse(BestConv1x1Block4(isa), shape, c, d, pixels, in, out);
  }

  void Depthwise(size_t channels, size_t side, size_t stride, size_t kernel_side = 3) {
    const size_t out_side = OutSide(side, stride);
    const AlignedArray<float> in = Tensor(channels * PlaneStride(side, side));
    AlignedArray<float> out(channels * PlaneStride(out_side, out_side));
    const size_t taps = kernel_side * kernel_side;
    const std::vector<float> weight = RandomFloats(taps * channels, random);
    const DepthwiseWeights packed =
        PackDepthwise(weight.data(), weight.data(), channels, kernel_side);
    DepthwiseArgs args;
    packed.Fill(args);
    args.height = args.width = side;
    args.stride = stride;
    args.in_stride = PlaneStride(side, side);
    args.out_stride = PlaneStride(out_side, out_side);
    args.in = in.data();
    args.out = out.data();
    args.activation = ActivationOf(Activation::kRelu6);
    const auto& kernel = BestDepthwise(isa);
    Print(kernel.name,
          std::to_string(channels) + " @" + std::to_string(side) + " /" + std::to_string(stride) +
              (kernel_side == 3 ? "" : " k" + std::to_string(kernel_side)),
          2.0 * static_cast<double>(taps * channels * out_side * out_side),
          Seconds([&] { kernel.run(args); }));
  }

  void ConvHwc(size_t channels, size_t side, size_t stride) {
    const size_t out_side = OutSide(side, stride);
    const AlignedArray<float> in = Tensor(side * side * 3);
    AlignedArray<float> out(channels * PlaneStride(out_side, out_side));
    AlignedArray<float> scratch(ConvHwcScratchFloats(side, 3, 3, stride, 1));
    const std::vector<float> weight = RandomFloats(27 * channels, random);
    const ConvHwcWeights packed = PackConvHwc(weight.data(), weight.data(), channels, 3, 3);
    ConvHwcArgs args;
    packed.Fill(args);
    args.height = args.width = side;
    args.stride = stride;
    args.padding = 1;
    args.out_stride = PlaneStride(out_side, out_side);
    args.in = in.data();
    args.out = out.data();
    args.scratch = scratch.data();
    args.activation = ActivationOf(Activation::kRelu6);
    const auto& kernel = BestConvHwc(isa);
    Print(kernel.name,
          "3x" + std::to_string(channels) + " @" + std::to_string(side) + " /" +
              std::to_string(stride),
          54.0 * static_cast<double>(channels * out_side * out_side),
          Seconds([&] { kernel.run(args); }));
  }

  void Add(size_t channels, size_t side) {
    const size_t stride = PlaneStride(side, side);
    const AlignedArray<float> a = Tensor(channels * stride), b = Tensor(channels * stride);
    AlignedArray<float> out(channels * stride);
    const AddArgs args = {channels, side * side, stride,
                          stride,   stride,      a.data(),
                          b.data(), out.data(),  ActivationOf(Activation::kRelu6)};
    const auto& kernel = BestAdd(isa);
    Print(kernel.name, std::to_string(channels) + " @" + std::to_string(side),
          static_cast<double>(channels * side * side), Seconds([&] { kernel.run(args); }));
  }

  void GlobalAveragePool(size_t channels, size_t side) {
    const size_t stride = PlaneStride(side, side);
    const AlignedArray<float> in = Tensor(channels * stride);
    AlignedArray<float> out(channels);
    const GlobalAveragePoolArgs args = {
        channels, side * side, stride, 1, in.data(), out.data(), ActivationOf(Activation::kRelu6)};
    const auto& kernel = BestGlobalAveragePool(isa);
    Print(kernel.name, std::to_string(channels) + " @" + std::to_string(side),
          static_cast<double>(channels * side * side), Seconds([&] { kernel.run(args); }));
  }

  // Times one packing of a fully connected layer.
  template <class Args, class Weights>
  void FullyConnected(const Kernel<Args>& kernel, const Weights& packed, const std::string& shape,
                      size_t nonzeros) {
    const AlignedArray<float> in = Tensor(packed.in_channels);
    AlignedArray<float> out(packed.out_channels);
    Args args{};
    packed.Fill(args);
    args.in = in.data();
    args.out = out.data();
    args.activation = ActivationOf(Activation::kRelu6);
    Print(kernel.name, shape, 2.0 * static_cast<double>(nonzeros),
          Seconds([&] { kernel.run(args); }));
  }

  void FullyConnected(size_t c, size_t d) {
    const std::vector<float> bias(d, 0.5f), weight = RandomFloats(c * d, random);
    const std::string shape = std::to_string(c) + "x" + std::to_string(d);
    FullyConnected(BestFullyConnectedDense(isa),
                   PackFullyConnectedDense(weight.data(), bias.data(), d, c), shape, c * d);
    // The first two columns of each four: where they are makes no difference.
    std::vector<uint32_t> counts(d, static_cast<uint32_t>(c / 4 * 2)), column;
    for (size_t i = 0; i < c / 4 * 4 * d; ++i) {
      if (i % 4 < 2) column.push_back(static_cast<uint32_t>(i % (c / 4 * 4)));
    }
    const SparseRows half = {d, c, column.size(), counts.data(), column.data(), weight.data()};
    FullyConnected(BestFullyConnectedTwoOfFour(isa), PackFullyConnectedTwoOfFour(half, bias.data()),
                   shape + " 2:4", half.nonzeros);
    for (const int zeros : {50, 60, 70, 80, 90, 95, 98}) {
      const BlockRows single(d, c, 1, zeros, random), blocks(d, c, 4, zeros, random);
      const std::string name = shape + " " + std::to_string(zeros) + "%";
      FullyConnected(BestFullyConnectedUnstructured(isa),
                     PackFullyConnectedUnstructured(single.rows, bias.data(), isa), name,
                     single.value.size());
      FullyConnected(BestFullyConnectedBlock4(isa),
                     PackFullyConnectedBlock4(blocks.rows, bias.data(), isa), name,
                     blocks.value.size());
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  try {
    Bench bench{argc > 1 ? ParseIsa(argv[1]) : DefaultIsa(), 0};
    bench.peak = MeasurePeakGflops(bench.isa);
    std::printf("%s, %s, peak %.1f GFLOP/s\n", CpuName().c_str(), IsaName(bench.isa), bench.peak);
    // MobileNet v1, v2, and the sizes of CIFAR-10.
    static constexpr size_t kShapes[][3] = {
        {32, 64, 112},  {64, 128, 56},  {128, 128, 56}, {128, 256, 28},  {256, 256, 28},
        {256, 512, 14}, {512, 512, 14}, {512, 1024, 7}, {1024, 1024, 7}, {16, 96, 112},
        {96, 24, 56},   {24, 144, 56},  {144, 32, 28},  {32, 192, 28},   {192, 64, 14},
        {64, 384, 14},  {384, 96, 14},  {96, 576, 14},  {576, 160, 7},   {160, 960, 7},
        {960, 320, 7},  {16, 96, 32},   {96, 24, 16},   {192, 48, 8}};
    for (const auto& shape : kShapes) bench.Conv1x1(shape[0], shape[1], shape[2]);
    for (const size_t stride : {1, 2}) {
      bench.Depthwise(32, 112, stride);
      if (stride == 2) bench.Depthwise(64, 112, stride);
      bench.Depthwise(128, 56, stride);
      bench.Depthwise(256, 28, stride);
      bench.Depthwise(96, 32, stride);
      bench.Depthwise(96, 16, stride);
      bench.Depthwise(512, 14, stride);
      bench.Depthwise(192, 8, stride);
      bench.Depthwise(1024, 7, stride);
      for (const size_t kernel : {5, 7}) {
        bench.Depthwise(96, 56, stride, kernel);
        bench.Depthwise(120, 28, stride, kernel);
        bench.Depthwise(96, 16, stride, kernel);
        bench.Depthwise(672, 14, stride, kernel);
        bench.Depthwise(960, 7, stride, kernel);
      }
    }
    bench.ConvHwc(32, 224, 2);
    bench.ConvHwc(16, 32, 1);
    bench.Add(24, 16);
    bench.Add(64, 28);
    bench.GlobalAveragePool(256, 8);
    bench.FullyConnected(256, 10);
    bench.FullyConnected(512, 256);
    bench.FullyConnected(1024, 1000);
    bench.FullyConnected(4096, 4096);
    std::printf("geometric means:\n");
    for (const auto& [name, mean] : bench.means)
      std::printf("%-42s %6.3f\n", name.c_str(), mean.value());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
