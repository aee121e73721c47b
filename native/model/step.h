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
#include "model/packed.h"
#include "model/plan.h"
#include "model/tuning.h"
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
  const TunedLayer* stored = nullptr;  // Whose packed weights are used as they are in the file.
};

// `threads` is how many there are; small layers use one.

// By estimates.
Decision Decide(const LayerView& layer, Isa isa, size_t threads);

// As chosen. `weights` may be null where both the layer's pattern and the form are dense.
Decision DecideAs(const LayerView& layer, FormChoice choice,
                  std::shared_ptr<const WeightRows> weights, size_t threads);

// In the form that was found the fastest, packed again. Fails where the zeros do not allow it.
Decision DecideAsTuned(const ModelView& model, const LayerView& layer, const TunedLayer& tuned,
                       Isa isa, size_t threads);

// With the packed weights in the file, for as many threads as they were packed for.
Decision DecideAsStored(const LayerView& layer, const TunedLayer& tuned, Isa isa, size_t threads);

// Whether threads share the pixels of a layer rather than its output channels.
bool SharesPixels(const LayerView& layer, size_t threads);

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
  std::vector<PackedFields> packed;
};

// Fails where weights in the file are none that the kernel could be given.
PlannedStep PlanStep(const ModelView& model, const LayerView& layer, const Decision& decision,
                     const Operands& operands, Isa isa);

}  // namespace sparsenas
