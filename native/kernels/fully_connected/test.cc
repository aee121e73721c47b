#include "kernels/fully_connected/fully_connected.h"

#include "testing/check.h"
#include "testing/guarded.h"

using namespace sparsenas;

namespace {

// Where a row may have zeros.
enum class Zeros { kAnywhere, kTwoOfFour };

// Takes away nonzeros of which there are more than two in columns 4 q to 4 q + 3 of a row.
void KeepTwoOfFour(RandomSparse& weight) {
  size_t kept = 0, k = 0;
  for (uint32_t& count : weight.counts) {
    const size_t first = kept;
    for (const size_t end = k + count; k < end; ++k) {
      const uint32_t column = weight.column[k];
      if (kept - first >= 2 && weight.column[kept - 2] / 4 == column / 4) continue;
      weight.column[kept] = column;
      weight.value[kept++] = weight.value[k];
    }
    count = static_cast<uint32_t>(kept - first);
  }
  weight.rows.nonzeros = kept;
}

// A matrix times a vector, computed exactly.
struct Problem {
  RandomSparse weight;
  std::vector<float> bias, in;
  Activation activation;
  std::vector<ExactSum> want;

  Problem(size_t in_channels, size_t out_channels, double density, bool one, Zeros zeros,
          Activation activation, Random& random)
      : weight(out_channels, in_channels, density, one, random),
        bias(RandomFloats(out_channels, random)),
        in(RandomFloats(in_channels, random)),
        activation(activation),
        want(out_channels) {
    if (zeros == Zeros::kTwoOfFour) KeepTwoOfFour(weight);
    size_t k = 0;
    for (size_t d = 0; d < out_channels; ++d) {
      want[d].Add(bias[d]);
      for (const size_t end = k + weight.counts[d]; k < end; ++k)
        want[d].Add(static_cast<double>(weight.value[k]) * in[weight.column[k]]);
    }
  }

  void Check(const GuardedArray<float>& out, const char* name) const {
    for (size_t d = 0; d < want.size(); ++d)
      Expect(want[d].Matches(out[d], activation),
             "%s: C=%zu D=%zu: expected %g before the activation, found %g at d=%zu", name,
             in.size(), want.size(), want[d].value, static_cast<double>(out[d]), d);
  }
};

void TestDense(const Kernel<FullyConnectedDenseArgs>& kernel, const Problem& problem, Guard guard) {
  const size_t c = problem.in.size(), d = problem.bias.size();
  std::vector<float> weight(c * d);
  size_t k = 0;
  for (size_t row = 0; row < d; ++row) {
    for (const size_t end = k + problem.weight.counts[row]; k < end; ++k)
      weight[row * c + problem.weight.column[k]] = problem.weight.value[k];
  }
  const FullyConnectedDenseWeights packed =
      PackFullyConnectedDense(weight.data(), problem.bias.data(), d, c);
  const GuardedArray<float> packed_weight(packed.weight, guard), bias(packed.bias, guard);
  const GuardedArray<float> in(problem.in.data(), c, guard);
  GuardedArray<float> out(d, guard);
  kernel.run({c, d, packed_weight.data(), bias.data(), in.data(), out.data(),
              ActivationOf(problem.activation)});
  problem.Check(out, kernel.name);
}

template <int kRows>
void TestSparse(const Kernel<FullyConnectedSparseArgs<kRows>>& kernel,
                const FullyConnectedSparseWeights<kRows>& packed, const Problem& problem,
                Guard guard) {
  const GuardedArray<uint32_t> counts(packed.counts, guard), window(packed.window, guard),
      order(packed.order, guard);
  const GuardedArray<uint8_t> index(packed.index, guard);
  const GuardedArray<float> value(packed.value, guard), bias(packed.bias, guard);
  const GuardedArray<float> in(problem.in.data(), problem.in.size(), guard);
  GuardedArray<float> out(problem.bias.size(), guard);
  kernel.run({in.size(), out.size(), counts.data(), window.data(), index.data(), value.data(),
              order.data(), bias.data(), in.data(), out.data(), ActivationOf(problem.activation)});
  problem.Check(out, kernel.name);
}

void TestTwoOfFour(const Kernel<FullyConnectedTwoOfFourArgs>& kernel, const Problem& problem,
                   Guard guard) {
  const FullyConnectedTwoOfFourWeights packed =
      PackFullyConnectedTwoOfFour(problem.weight.rows, problem.bias.data());
  const GuardedArray<float> value(packed.value, guard), bias(packed.bias, guard);
  const GuardedArray<uint32_t> place(packed.place, guard);
  const GuardedArray<float> in(problem.in.data(), problem.in.size(), guard);
  GuardedArray<float> out(problem.bias.size(), guard);
  kernel.run({in.size(), out.size(), value.data(), place.data(), bias.data(), in.data(), out.data(),
              ActivationOf(problem.activation)});
  problem.Check(out, kernel.name);
}

void TestRefusals() {
  const float values[] = {1, 2, INFINITY, 4}, nan[] = {1, NAN};
  const uint32_t counts[] = {2}, column[] = {0, 2, 3, 5};
  const SparseRows good = {1, 3, 2, counts, column, values};
  // What all sparse packings refuse.
  const auto refuse = [&](auto pack) {
    pack(good, values);
    SparseRows rows = good;
    rows.columns = 2;
    ExpectFails("fully_connected: expected column indices below 2, found 2 in row 0",
                [&] { pack(rows, values); });
    rows = good;
    rows.nonzeros = 3;
    ExpectFails("fully_connected: expected 3 nonzeros in all, found 2",
                [&] { pack(rows, values); });
    rows = good;
    rows.value = nan;
    ExpectFails("fully_connected: expected finite weights, found nan at index 1",
                [&] { pack(rows, values); });
    rows = good;
    rows.columns = 0;
    ExpectFails("fully_connected: expected at least one channel", [&] { pack(rows, values); });
    ExpectFails("fully_connected: expected finite biases, found inf",
                [&] { pack(good, &values[2]); });
  };
  refuse([](const SparseRows& rows, const float* bias) {
    PackFullyConnectedUnstructured(rows, bias, Isa::kScalar);
  });
  refuse([](const SparseRows& rows, const float* bias) {
    PackFullyConnectedBlock4(rows, bias, Isa::kScalar);
  });
  refuse(PackFullyConnectedTwoOfFour);

  const uint32_t four[] = {0, 4};
  const float weight[] = {1, 2, 3, 4};
  const SparseRows three = {2, 6, 4, four, column, weight};
  ExpectFails(
      "fully_connected: expected at most 2 nonzeros in columns 0 to 3 (2:4), found a third in row "
      "1",
      [&] { PackFullyConnectedTwoOfFour(three, weight); });

  PackFullyConnectedDense(values, values, 1, 2);
  ExpectFails("fully_connected: expected finite weights, found inf at index 2",
              [&] { PackFullyConnectedDense(values, values, 1, 3); });
  ExpectFails("expected at least one channel",
              [&] { PackFullyConnectedDense(values, values, 1, 0); });
}

// Calls test(problem, guard) for sizes around every boundary of the loops.
template <class Test>
void ForEachProblem(Zeros zeros, Test test) {
  Random random(6);
  size_t i = 0;
  const auto both = [&](size_t c, size_t d, double density, bool one) {
    for (const Guard guard : {Guard::kBefore, Guard::kAfter})
      test(Problem(c, d, density, one, zeros, kActivations[i++ % 7], random), guard);
  };
  for (const size_t c : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 35, 36, 100, 257, 320}) {
    for (const size_t d : {1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17, 32, 100}) {
      // A nonzero alone in every fourth.
      const double density = std::vector<double>{0.0, 0.1, 0.5, 1.0}[i / 2 % 4];
      both(c, d, density, i % 8 == 0 && i % 16 != 0);
    }
  }
  // Rows far apart: windows that most rows wait for.
  both(3000, 40, 0.003, false);
  both(3000, 40, 0.05, false);
}

}  // namespace

int main() {
  TestRefusals();
  ForEachKernel(FullyConnectedDenseKernels(), [](const auto& kernel) {
    ForEachProblem(Zeros::kAnywhere,
                   [&](const Problem& problem, Guard guard) { TestDense(kernel, problem, guard); });
  });
  ForEachKernel(FullyConnectedUnstructuredKernels(), [](const auto& kernel) {
    ForEachProblem(Zeros::kAnywhere, [&](const Problem& problem, Guard guard) {
      const auto packed =
          PackFullyConnectedUnstructured(problem.weight.rows, problem.bias.data(), kernel.isa);
      TestSparse<1>(kernel, packed, problem, guard);
    });
  });
  ForEachKernel(FullyConnectedBlock4Kernels(), [](const auto& kernel) {
    ForEachProblem(Zeros::kAnywhere, [&](const Problem& problem, Guard guard) {
      const auto packed =
          PackFullyConnectedBlock4(problem.weight.rows, problem.bias.data(), kernel.isa);
      TestSparse<4>(kernel, packed, problem, guard);
    });
  });
  ForEachKernel(FullyConnectedTwoOfFourKernels(), [](const auto& kernel) {
    ForEachProblem(Zeros::kTwoOfFour, [&](const Problem& problem, Guard guard) {
      TestTwoOfFour(kernel, problem, guard);
    });
  });
  return Report();
}
