// All loops over one vector type, as a table.
#pragma once

#include "primitives/batch_norm_loops.h"
#include "primitives/depthwise_loops.h"
#include "primitives/pointwise_loops.h"

namespace sparsenas {
namespace {

template <class V>
constexpr Primitives LoopsOf(Isa isa) {
  return {isa,
          V::kLanes,
          DepthwiseLoop<V>,
          DepthwiseInputLoop<V>,
          DepthwiseKernelLoop<V>,
          ProductLoop<V>,
          WeightProductLoop<V>,
          SumsLoop<V>,
          NormalizeLoop<V>,
          GradientSumsLoop<V>,
          GradientLoop<V>};
}

}  // namespace
}  // namespace sparsenas
