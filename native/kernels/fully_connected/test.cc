#include "kernels/fully_connected/fully_connected.h"

#include "testing/check.h"
#include "testing/guarded.h"

using namespace sparsenas;

namespace {

// A matrix times a vector, computed exactly.
struct Problem {
  RandomSparse weight;
  std::vector<float> bias, in;
  Activation activation;
  std::vector<ExactSum> want;

  Problem(size_t in_channels, size_t out_channels, double density, bool one, Activation activation,
          Random& random)
      : weight(out_channels, in_channels, density, one, random),
        bias(RandomFloats(out_channels, random)),
        in(RandomFloats(in_channels, random)),
        activation(activation),
        want(out_channels) {
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

void TestUnstructured(const Kernel<FullyConnectedUnstructuredArgs>& kernel, const Problem& problem,
                      Guard guard) {
  const FullyConnectedUnstructuredWeights packed =
      PackFullyConnectedUnstructured(problem.weight.rows, problem.bias.data());
  const GuardedArray<uint32_t> counts(packed.counts, guard), column(packed.column, guard);
  const GuardedArray<float> value(packed.value, guard), bias(packed.bias, guard);
  const GuardedArray<float> in(problem.in.data(), problem.in.size(), guard);
  GuardedArray<float> out(problem.bias.size(), guard);
  kernel.run({problem.bias.size(), counts.data(), column.data(), value.data(), bias.data(),
              in.data(), out.data(), ActivationOf(problem.activation)});
  problem.Check(out, kernel.name);
}

void TestRefusals() {
  const float values[] = {1, 2, INFINITY};
  const uint32_t counts[] = {2}, column[] = {0, 2};
  const SparseRows good = {1, 3, 2, counts, column, values};
  PackFullyConnectedUnstructured(good, values);
  SparseRows rows = good;
  rows.columns = 2;
  ExpectFails("fully_connected: expected column indices below 2",
              [&] { PackFullyConnectedUnstructured(rows, values); });
  ExpectFails("fully_connected: expected finite biases, found inf",
              [&] { PackFullyConnectedUnstructured(good, &values[2]); });
  PackFullyConnectedDense(values, values, 1, 2);
  ExpectFails("fully_connected: expected finite weights, found inf at index 2",
              [&] { PackFullyConnectedDense(values, values, 1, 3); });
  ExpectFails("expected at least one channel",
              [&] { PackFullyConnectedDense(values, values, 1, 0); });
}

// Calls test(problem, guard) for sizes around every boundary of the loops.
template <class Test>
void ForEachProblem(Test test) {
  Random random(6);
  size_t i = 0;
  for (const size_t c : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 320}) {
    for (const size_t d : {1, 2, 4, 5, 10, 15, 16, 17, 32, 100}) {
      for (const Guard guard : {Guard::kBefore, Guard::kAfter}) {
        const double density = std::vector<double>{0.0, 0.1, 0.5, 1.0}[i % 4];
        test(Problem(c, d, density, i % 8 == 0, kActivations[i % 7], random), guard);
        ++i;
      }
    }
  }
}

}  // namespace

int main() {
  TestRefusals();
  ForEachKernel(FullyConnectedDenseKernels(), [](const auto& kernel) {
    ForEachProblem([&](const Problem& problem, Guard guard) { TestDense(kernel, problem, guard); });
  });
  ForEachKernel(FullyConnectedUnstructuredKernels(), [](const auto& kernel) {
    ForEachProblem(
        [&](const Problem& problem, Guard guard) { TestUnstructured(kernel, problem, guard); });
  });
  return Report();
}
