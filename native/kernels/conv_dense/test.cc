#include "kernels/conv_dense/conv_dense.h"

#include "testing/conv.h"

using namespace sparsenas;

namespace {

void TestProblem(const Kernel<ConvDenseArgs>& kernel, const ConvProblem& problem) {
  const ConvCase& shape = problem.shape;
  const Guard guard = shape.guard;
  const ConvDenseWeights packed = PackConvDense(problem.weight.data(), problem.bias.data(),
                                                shape.out_channels, shape.in_channels, shape.kernel,
                                                problem.out_height * problem.out_width, kernel.isa);
  const GuardedArray<float> weight(packed.weight, guard), bias(packed.bias, guard);
  const GuardedArray<ConvTap> taps(packed.taps, guard);
  const GuardedArray<uint32_t> part_taps(packed.part_taps, guard);
  ConvDenseArgs args;
  packed.Fill(args);
  args.weight = weight.data();
  args.bias = bias.data();
  args.taps = taps.data();
  args.part_taps = part_taps.data();
  problem.Check(kernel, args,
                ConvDenseScratchFloats(shape.height, shape.width, shape.in_channels, shape.kernel,
                                       shape.stride));
}

void TestRefusals() {}

}  // namespace

int main() {
  TestRefusals();
  ForEachKernel(ConvDenseKernels(), [](const auto& kernel) {
    ForEachConvProblem({1, 3, 5, 7}, 49,
                       [&](const ConvProblem& problem) { TestProblem(kernel, problem); });
  });
  return Report();
}
