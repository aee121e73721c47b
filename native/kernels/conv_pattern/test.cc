#include "kernels/conv_pattern/conv_pattern.h"

#include "testing/conv.h"

using namespace sparsenas;

namespace {

void TestProblem(const Kernel<ConvPatternArgs>& kernel, const ConvProblem& problem, size_t strip) {
  const ConvCase& shape = problem.shape;
  const Guard guard = shape.guard;
  const ConvPatternWeights packed = PackConvPattern(problem.rows, problem.bias.data(), shape.height,
                                                    shape.width, shape.stride, kernel.isa, strip);
  const GuardedArray<uint32_t> runs_of(packed.runs_of, guard);
  const GuardedArray<ConvPatternRun> runs(packed.runs, guard);
  const GuardedArray<ConvPatternGroup> groups(packed.groups, guard);
  const GuardedArray<ConvPatternFour> fours(packed.fours, guard);
  const GuardedArray<ConvPatternKernel> kernels(packed.kernels, guard);
  const GuardedArray<float> bias(packed.bias, guard);
  ConvPatternArgs args;
  packed.Fill(args);
  args.runs_of = runs_of.data();
  args.runs = runs.data();
  args.groups = groups.data();
  args.fours = fours.data();
  args.kernels = kernels.data();
  args.bias = bias.data();
  problem.Check(kernel, args,
                ConvPatternScratchFloats(shape.height, shape.width, shape.in_channels,
                                         shape.out_channels, shape.stride, packed.strip));
}

void TestRefusals() {
  const float bias = 0, value[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  const auto pack = [&](const std::vector<uint32_t>& column) {
    const auto count = static_cast<uint32_t>(column.size());
    const SparseRows rows = {1, 9, column.size(), &count, column.data(), value};
    PackConvPattern(rows, &bias, 4, 4, 1, Isa::kScalar);
  };
  ExpectFails("at most 3 nonzeros besides the centre", [&] { pack({0, 1, 2, 3}); });
  ExpectFails("from input channel 0 to output channel 0", [&] { pack({0, 1, 2, 3, 4}); });
  pack({0, 1, 2});
  pack({4, 5, 6, 7});
}

}  // namespace

int main() {
  TestRefusals();
  ForEachKernel(ConvPatternKernels(), [](const auto& kernel) {
    // All rows at once, and strips of a few.
    size_t strip = 0;
    ForEachConvProblem({3}, 3, [&](const ConvProblem& problem) {
      TestProblem(kernel, problem, strip);
      strip = (strip + 1) % 5;
    });
  });
  return Report();
}
