#include "kernels/conv_direct/conv_direct.h"

#include "testing/conv.h"

using namespace sparsenas;

namespace {

void TestProblem(const Kernel<ConvDirectArgs>& kernel, const ConvProblem& problem) {
  const ConvCase& shape = problem.shape;
  const Guard guard = shape.guard;
  const ConvDirectWeights packed =
      PackConvDirect(problem.rows, problem.bias.data(), shape.kernel,
                     problem.out_height * problem.out_width, kernel.isa);
  const GuardedArray<ConvDirectNonzeros> nonzeros(packed.nonzeros, guard);
  const GuardedArray<ConvDirectRow> rows(packed.rows, guard);
  const GuardedArray<ConvDirectPart> part(packed.part, guard);
  const GuardedArray<ConvTap> taps(packed.taps, guard);
  const GuardedArray<float> bias(packed.bias, guard);
  ConvDirectArgs args;
  packed.Fill(args);
  args.nonzeros = nonzeros.data();
  args.rows = rows.data();
  args.part = part.data();
  args.taps = taps.data();
  args.bias = bias.data();
  problem.Check(kernel, args,
                ConvDirectScratchFloats(shape.height, shape.width, shape.in_channels, shape.kernel,
                                        shape.stride));
}

void TestRefusals() {}

}  // namespace

int main() {
  TestRefusals();
  ForEachKernel(ConvDirectKernels(), [](const auto& kernel) {
    ForEachConvProblem({1, 3, 5, 7}, 49,
                       [&](const ConvProblem& problem) { TestProblem(kernel, problem); });
  });
  return Report();
}
