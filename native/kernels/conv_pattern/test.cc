#include "kernels/conv_pattern/conv_pattern.h"

#include "testing/conv.h"

using namespace sparsenas;

namespace {

void TestProblem(const Kernel<ConvPatternArgs>& kernel, const ConvProblem& problem) {
  const ConvCase& shape = problem.shape;
  const Guard guard = shape.guard;
  const ConvPatternWeights packed = PackConvPattern(problem.rows, problem.bias.data(), shape.height,
                                                    shape.width, shape.stride, kernel.isa);
  const GuardedArray<uint32_t> groups_of(packed.groups_of, guard);
  const GuardedArray<ConvPatternGroup> groups(packed.groups, guard);
  const GuardedArray<ConvPatternKernel> kernels(packed.kernels, guard);
  const GuardedArray<float> bias(packed.bias, guard);
  ConvPatternArgs args;
  packed.Fill(args);
  args.groups_of = groups_of.data();
  args.groups = groups.data();
  args.kernels = kernels.data();
  args.bias = bias.data();
  problem.Check(kernel, args,
                ConvPatternScratchFloats(shape.height, shape.width, shape.in_channels,
                                         shape.out_channels, shape.stride));
}

void TestRefusals() {}

}  // namespace

int main() {
  TestRefusals();
  ForEachKernel(ConvPatternKernels(), [](const auto& kernel) {
    ForEachConvProblem({3}, 4, [&](const ConvProblem& problem) { TestProblem(kernel, problem); });
  });
  return Report();
}
