// Tests that threads share a layer, by output channels or by pixels, and change nothing.
#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/aligned.h"
#include "base/arch.h"
#include "kernels/tensor.h"
#include "model/format.h"
#include "model/plan.h"
#include "testing/check.h"

namespace {

using namespace sparsenas;

// A model of one convolution, with the arrays that it looks into.
struct OneConvolution {
  std::vector<float> weight, bias;
  ModelView view;

  OneConvolution(Op op, Pattern pattern, uint32_t kernel, uint32_t stride, uint32_t height,
                 uint32_t width) {
    LayerView layer{};
    layer.name = "layer";
    layer.op = op;
    layer.pattern = pattern;
    layer.activation = Activation::kRelu;
    layer.inputs = {kImage};
    layer.c_in = op == Op::kConv ? 60 : 180;
    layer.c_out = 43;
    layer.height = height;
    layer.width = width;
    layer.out_height = static_cast<uint32_t>(OutSide(height, stride));
    layer.out_width = static_cast<uint32_t>(OutSide(width, stride));
    layer.kernel = kernel;
    layer.stride = stride;
    std::mt19937 random(height * width);
    std::normal_distribution<float> normal;
    for (uint32_t d = 0; d < layer.c_out; ++d) {
      bias.push_back(normal(random));
      const size_t before = weight.size();
      for (uint32_t j = 0; j < layer.columns(); ++j) {
        // Of a 3x3 kernel the centre and three around it; in blocks, rows have the same columns.
        if (pattern == Pattern::kKernel ? j / 9 % 4 != 0 || (0x3A >> j % 9 & 1) == 0
                                        : pattern != Pattern::kDense && j % 6 != d / 4 % 6)
          continue;
        weight.push_back(normal(random));
        if (pattern != Pattern::kDense && d % layer.block_rows() == 0)
          layer.block_columns.push_back(j);
      }
      if (pattern != Pattern::kDense && d % layer.block_rows() == 0)
        layer.row_blocks.push_back(static_cast<uint32_t>(weight.size() - before));
    }
    layer.nonzeros = weight.size();
    layer.weight = weight.data();
    layer.bias = bias.data();
    view = {"test.snas", height, width, layer.c_in, InputLayout::kChw, {layer}, {}};
  }

  // The output planes; `threads` parts run one after the other, the last one first.
  std::vector<float> Run(Isa isa, size_t threads) const {
    const Plan plan = MakePlan(view, isa, threads);
    AlignedArray<float> arena(plan.arena_floats);
    std::fill(arena.data(), arena.data() + arena.size(), std::nanf(""));
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (size_t c = 0; c < plan.input.channels; ++c) {
      float* in = arena.data() + plan.input.offset + c * plan.input.stride;
      std::generate(in, in + plan.input.pixels(), [&] { return normal(random); });
    }
    const std::vector<Plan::Part>& parts = plan.steps[0].parts;
    Expect(threads == 1 || parts.size() > 1, "threads share the layer");
    for (size_t i = parts.size(); i-- > 0;) parts[i](nullptr, arena.data());
    std::vector<float> out;
    for (size_t c = 0; c < plan.output.channels; ++c) {
      const float* plane = arena.data() + plan.output.offset + c * plan.output.stride;
      out.insert(out.end(), plane, plane + plan.output.pixels());
    }
    return out;
  }
};

void TestThreadsShareALayerAndChangeNothing() {
  struct Case {
    Op op;
    Pattern pattern;
    uint32_t kernel;
  };
  for (const auto& [op, pattern, kernel] :
       {Case{Op::kConv1x1, Pattern::kDense, 1}, Case{Op::kConv1x1, Pattern::kUnstructured, 1},
        Case{Op::kConv1x1, Pattern::kBlock4, 1}, Case{Op::kConv, Pattern::kDense, 3},
        Case{Op::kConv, Pattern::kUnstructured, 3}, Case{Op::kConv, Pattern::kKernel, 3}}) {
    // Around 256 pixels for each of two or three threads, where they begin to share pixels.
    for (const auto& [height, width] :
         std::vector<std::pair<uint32_t, uint32_t>>{{28, 28}, {17, 30}, {59, 13}}) {
      for (const uint32_t stride : {1u, 2u}) {
        if (op == Op::kConv1x1 && stride == 2) continue;
        const uint32_t larger = op == Op::kConv ? stride : 1;
        const OneConvolution convolution(op, pattern, kernel, stride, height * larger,
                                         width * larger);
        for (const Isa isa : MachineIsas()) {
          const std::vector<float> alone = convolution.Run(isa, 1);
          for (const size_t threads : {2, 3}) {
            const std::vector<float> shared = convolution.Run(isa, threads);
            float most = 0;
            for (size_t i = 0; i < alone.size(); ++i) {
              const float difference = std::fabs(shared[i] - alone[i]);
              most = difference <= most ? most : difference;  // NaN stays.
            }
            // Sums of up to 540 products of size 1, in another order.
            Expect(most < 1e-3f, std::string(IsaName(isa)) + ", " + std::to_string(height) + "x" +
                                     std::to_string(width) + ", op " +
                                     std::to_string(static_cast<int>(op)) + ", pattern " +
                                     std::to_string(static_cast<int>(pattern)) + ", stride " +
                                     std::to_string(stride) + ", " + std::to_string(threads) +
                                     " threads differ by " + std::to_string(most));
          }
        }
      }
    }
  }
}

}  // namespace

int main() {
  TestThreadsShareALayerAndChangeNothing();
  return Report();
}
