// Decides by measurement how every layer of a network runs on this machine.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/arch.h"
#include "model/plan.h"
#include "model/tuning.h"

namespace sparsenas {

struct Tuned {
  Plan plan;
  std::vector<FormTimes> us;   // Of each layer.
  std::vector<uint8_t> bytes;  // The model's file with the tuning section.
};

// Tries every layer that may be sparse in all its forms with so many threads. `progress` is told
// how many layers are done, of how many. Fails as Model::Open does.
Tuned Tune(const std::string& path, Isa isa, size_t threads,
           const std::function<void(size_t done, size_t layers)>& progress);

}  // namespace sparsenas
