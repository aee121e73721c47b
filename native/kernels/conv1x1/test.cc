#include "kernels/conv1x1/conv1x1.h"

#include "kernels/tensor.h"
#include "testing/check.h"
#include "testing/guarded.h"

using namespace sparsenas;

namespace {

struct Case {
  size_t pixels, in_channels, out_channels;
  double density;
  bool one;  // A single nonzero.
  Activation activation;
  Guard guard;
  size_t extra_stride;  // Floats between output channels beyond what is needed.
};

// Inputs, and what must come out of them.
struct Problem {
  Case shape;
  size_t in_stride, out_stride;
  RandomSparse weight;
  std::vector<float> bias;
  GuardedArray<float> in;
  std::vector<ExactSum> want;  // [D, P]

  Problem(const Case& shape, Random& random)
      : shape(shape),
        in_stride(PlaneStride(1, shape.pixels)),
        out_stride(in_stride + shape.extra_stride),
        weight(shape.out_channels, shape.in_channels, shape.density, shape.one, random),
        bias(RandomFloats(shape.out_channels, random)),
        in(shape.in_channels * in_stride, shape.guard),  // The padding stays NaN.
        want(shape.out_channels * shape.pixels) {
    std::normal_distribution<float> normal;
    for (size_t c = 0; c < shape.in_channels; ++c) {
      for (size_t p = 0; p < shape.pixels; ++p) in[c * in_stride + p] = normal(random);
    }
    size_t k = 0;
    for (size_t d = 0; d < shape.out_channels; ++d) {
      for (size_t p = 0; p < shape.pixels; ++p) want[d * shape.pixels + p].Add(bias[d]);
      for (const size_t end = k + weight.counts[d]; k < end; ++k) {
        for (size_t p = 0; p < shape.pixels; ++p)
          want[d * shape.pixels + p].Add(static_cast<double>(weight.value[k]) *
                                         in[weight.column[k] * in_stride + p]);
      }
    }
  }

  void Check(const GuardedArray<float>& out, const char* name) const {
    for (size_t d = 0; d < shape.out_channels; ++d) {
      for (size_t p = 0; p < shape.pixels; ++p) {
        const ExactSum& sum = want[d * shape.pixels + p];
        const float got = out[d * out_stride + p];
        Expect(sum.Matches(got, shape.activation),
               "%s: P=%zu C=%zu D=%zu density=%g: expected %g before the activation, found "
               "%g at d=%zu p=%zu",
               name, shape.pixels, shape.in_channels, shape.out_channels, shape.density, sum.value,
               static_cast<double>(got), d, p);
      }
    }
  }
};

template <int kRows>
void TestSparse(const Kernel<Conv1x1SparseArgs<kRows>>& kernel, const Problem& problem) {
  const Case& shape = problem.shape;
  const Conv1x1SparseWeights<kRows> packed = PackConv1x1Block<kRows>(
      problem.weight.rows, problem.bias.data(), problem.in_stride, shape.pixels, kernel.isa);
  const GuardedArray<uint32_t> counts(packed.counts, shape.guard);
  const GuardedArray<Conv1x1Step<kRows>> steps(packed.steps, shape.guard);
  const GuardedArray<float> bias(packed.bias, shape.guard);
  GuardedArray<float> out(shape.out_channels * problem.out_stride, shape.guard);
  Conv1x1SparseArgs<kRows> args;
  packed.Fill(args);
  args.counts = counts.data();
  args.steps = steps.data();
  args.bias = bias.data();
  args.pixels = shape.pixels;
  args.out_stride = problem.out_stride;
  args.in = problem.in.data();
  args.out = out.data();
  args.activation = ActivationOf(shape.activation);
  kernel.run(args);
  problem.Check(out, kernel.name);
}

void TestDense(const Kernel<Conv1x1DenseArgs>& kernel, const Problem& problem) {
  const Case& shape = problem.shape;
  std::vector<float> weight(shape.out_channels * shape.in_channels);
  size_t k = 0;
  for (size_t d = 0; d < shape.out_channels; ++d) {
    for (const size_t end = k + problem.weight.counts[d]; k < end; ++k)
      weight[d * shape.in_channels + problem.weight.column[k]] = problem.weight.value[k];
  }
  const Conv1x1DenseWeights packed =
      PackConv1x1Dense(weight.data(), problem.bias.data(), shape.out_channels, shape.in_channels);
  const GuardedArray<float> packed_weight(packed.weight, shape.guard);
  const GuardedArray<float> bias(packed.bias, shape.guard);
  GuardedArray<float> out(shape.out_channels * problem.out_stride, shape.guard);
  Conv1x1DenseArgs args;
  packed.Fill(args);
  args.weight = packed_weight.data();
  args.bias = bias.data();
  args.pixels = shape.pixels;
  args.in_stride = problem.in_stride;
  args.out_stride = problem.out_stride;
  args.in = problem.in.data();
  args.out = out.data();
  args.activation = ActivationOf(shape.activation);
  kernel.run(args);
  problem.Check(out, kernel.name);
}

// Calls test(problem) for shapes around every boundary of the loops.
template <class Test>
void ForEachProblem(Test test) {
  Random random(1);
  // Every number of vectors in a tile of every instruction set, and one pixel beside it; one, two
  // and three tiles of the widest.
  std::vector<size_t> pixels = {1, 2, 3, 5, 49, 191, 192, 193, 208, 384, 385, 784};
  for (size_t vectors = 1; vectors <= 25; ++vectors) {
    for (const size_t lanes : {4, 8, 16}) {
      pixels.push_back(vectors * lanes);
      if (vectors % 4 == 0) pixels.push_back(vectors * lanes + 1);
      if (vectors % 4 == 1) pixels.push_back(vectors * lanes - 1);
    }
  }
  size_t i = 0;
  for (const size_t p : pixels) {
    // The other sizes and options take turns.
    const size_t c = std::vector<size_t>{1, 3, 16, 70, 131}[i % 5];
    const size_t d = std::vector<size_t>{1, 7, 8, 9, 16, 19}[i % 6];
    for (const double density : {0.0, 0.1, 1.0}) {
      for (const Guard guard : {Guard::kBefore, Guard::kAfter}) {
        test(Problem({p, c, d, density, density == 0.0 && i % 2 == 1, kActivations[i % 7], guard,
                      i % 4 == 3 ? size_t{32} : size_t{0}},
                     random));
        ++i;
      }
    }
  }
  // Input channels around where a part, sparse or dense, ends and another begins.
  const size_t l1_floats = L1DataBytes() / sizeof(float) * 5 / 6;
  for (const size_t p : {48u, 96u, 192u}) {
    for (const size_t panel_floats : {l1_floats, size_t{36 << 10} / sizeof(float)}) {
      for (const size_t lanes : {4, 8, 16}) {
        const size_t part = panel_floats / (panel_floats == l1_floats ? p : 3 * lanes);
        for (const size_t c : {part - 1, part, part + 1})
          test(Problem({p, c, 9, 0.1, false, Activation::kRelu, Guard::kAfter, 0}, random));
      }
    }
  }
}

template <class Test>
void ForRandomProblems(Test test) {
  Random random(2);
  const auto below = [&](size_t n) { return 1 + random() % n; };
  for (int i = 0; i < 100; ++i) {
    test(Problem(
        {below(600), below(150), below(40), below(100) / 100.0, i % 50 == 0, kActivations[i % 7],
         i % 2 == 0 ? Guard::kBefore : Guard::kAfter, random() % 3 * 16},
        random));
  }
}

void TestRefusals() {
  const float weight[] = {1, 2, 3}, bias[] = {0, 0};
  const uint32_t counts[] = {1, 2}, column[] = {3, 0, 2};
  const SparseRows good = {2, 4, 3, counts, column, weight};
  const auto pack = [&](SparseRows rows, size_t in_stride = 16, size_t pixels = 16) {
    PackConv1x1Unstructured(rows, bias, in_stride, pixels, Isa::kScalar);
  };
  pack(good);
  SparseRows rows = good;
  rows.columns = 3;
  ExpectFails("expected column indices below 3, found 3 in row 0", [&] { pack(rows); });
  rows = good;
  rows.nonzeros = 2;
  ExpectFails("expected 2 nonzeros in all, found more by row 1", [&] { pack(rows); });
  rows.nonzeros = 4;
  ExpectFails("expected 4 nonzeros in all, found 3", [&] { pack(rows); });
  rows = good;
  const uint32_t descending[] = {3, 2, 2};
  rows.column = descending;
  ExpectFails("expected ascending column indices, found 2 after 2 in row 1", [&] { pack(rows); });
  rows = good;
  const float nan[] = {1, std::nanf(""), 3}, infinite[] = {1, 2, INFINITY};
  rows.value = nan;
  ExpectFails("expected finite weights, found nan at index 1", [&] { pack(rows); });
  rows = good;
  rows.rows = 0;
  ExpectFails("expected at least one channel", [&] { pack(rows); });
  ExpectFails("expected 1 to 16 pixels", [&] { pack(good, 16, 17); });
  ExpectFails("expected 1 to 16 pixels", [&] { pack(good, 16, 0); });
  ExpectFails("expected an input below 4 GiB", [&] { pack(good, size_t{1} << 30, 16); });
  PackConv1x1Dense(weight, bias, 1, 3);
  ExpectFails("expected finite weights", [&] { PackConv1x1Dense(infinite, bias, 1, 3); });
  ExpectFails("expected finite biases", [&] { PackConv1x1Dense(weight, nan + 1, 1, 3); });
  ExpectFails("expected at least one channel", [&] { PackConv1x1Dense(weight, bias, 0, 3); });
}

void TestBlocksAreCounted() {
  // Rows {0, 3}, {}, {0}, {2, 3}, {3}.
  const uint32_t counts[] = {2, 0, 1, 2, 1}, column[] = {0, 3, 0, 2, 3, 3};
  const float value[] = {1, 1, 1, 1, 1, 1};
  const SparseRows rows = {5, 4, 6, counts, column, value};
  Expect(CountBlocks(rows, 1) == 6, "expected 6 blocks, found %zu", CountBlocks(rows, 1));
  Expect(CountBlocks(rows, 2) == 6, "expected 6 blocks, found %zu", CountBlocks(rows, 2));
  Expect(CountBlocks(rows, 4) == 4, "expected 4 blocks, found %zu", CountBlocks(rows, 4));
}

template <class Args, class Test>
void ForEachKernelAndProblem(const KernelList<Args>& kernels, Test test) {
  ForEachKernel(kernels, [&](const auto& kernel) {
    const auto check = [&](const Problem& problem) { test(kernel, problem); };
    ForEachProblem(check);
    ForRandomProblems(check);
  });
}

}  // namespace

int main() {
  TestRefusals();
  TestBlocksAreCounted();
  ForEachKernelAndProblem(Conv1x1UnstructuredKernels(), TestSparse<1>);
  ForEachKernelAndProblem(Conv1x1Block2Kernels(), TestSparse<2>);
  ForEachKernelAndProblem(Conv1x1Block4Kernels(), TestSparse<4>);
  ForEachKernelAndProblem(Conv1x1DenseKernels(), TestDense);
  return Report();
}
