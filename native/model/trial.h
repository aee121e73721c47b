// Finds by measurement in which form a layer is the fastest.
#pragma once

#include <cstddef>
#include <memory>

#include "base/arch.h"
#include "base/parallel.h"
#include "model/form.h"
#include "model/format.h"
#include "model/tuning.h"
#include "model/weight_rows.h"

namespace sparsenas {

struct Trial {
  Form form;     // The fastest. Where that is in doubt, the estimated one or dense.
  FormTimes us;  // Medians.
};

// Times the layer by itself in the forms its zeros allow, except those that estimates put far
// behind; `estimated` is the form that they choose. `others_bytes` are the weights that a run of
// its network reads between two runs of the layer.
Trial TryForms(const LayerView& layer, std::shared_ptr<const WeightRows> weights, Form estimated,
               Isa isa, Threads& threads, size_t others_bytes);

}  // namespace sparsenas
