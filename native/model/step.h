// Packs the weights of one layer and makes what runs it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/arch.h"
#include "model/form.h"
#include "model/format.h"
#include "model/plan.h"
#include "model/weight_rows.h"

namespace sparsenas {

// How a layer runs, decided before memory is shared out.
struct Decision {
  FormChoice choice{Form::kDense, ""};
  std::shared_ptr<const WeightRows> weights;  // Null where dense without a look at them.
  // What each thread that takes part computes: output channels or, where there are several shares
  // of the pixels, all of them for one share.
  std::vector<Rows> parts;
  bool by_pixels = false;
};

// `threads` is how many there are; small layers use one.
Decision Decide(const LayerView& layer, Isa isa, size_t threads);

// Floats of scratch memory that each part of a layer needs.
size_t ScratchFloats(const LayerView& layer, Form form);

// Everything of one layer that a kernel needs. Tensors that its operator cannot read as they are
// have been replaced by copies, which `copies` makes.
struct Operands {
  std::vector<Tensor> in;
  Tensor out;
  std::vector<size_t> scratch;  // Offset in the arena, in floats, for each part.
  std::vector<std::pair<Tensor, Tensor>> copies;
};

struct PlannedStep {
  const char* kernel_name = nullptr;
  size_t weight_bytes = 0;
  std::vector<Plan::Part> parts;
};

PlannedStep PlanStep(const LayerView& layer, const Decision& decision, const Operands& operands,
                     Isa isa);

}  // namespace sparsenas
