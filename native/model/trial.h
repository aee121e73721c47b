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
  Form form;     // The fastest, kDense where no other is beyond doubt.
  FormTimes us;  // Medians.
};

// Times the layer by itself in the forms its zeros allow, except those that estimates put far
// behind. `others_bytes` are the weights that a run of its network reads between two runs of the
// layer.
Trial TryForms(const LayerView& layer, std::shared_ptr<const WeightRows> weights, Isa isa,
               Threads& threads, size_t others_bytes);

}  // namespace sparsenas
