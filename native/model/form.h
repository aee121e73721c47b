// Decides how the weights of a layer are packed: in the form that runs fastest with the zeros they
// have, which need not be the pattern that the file names.
#pragma once

#include <string>

#include "base/arch.h"
#include "model/format.h"
#include "model/weight_rows.h"

namespace sparsenas {

enum class Form {
  kDense,         // Every weight.
  kUnstructured,  // Nonzeros one by one; direct convolution where the kernel is larger than 1x1.
  kBlock2,        // Blocks of two output channels at one column.
  kBlock4,        // Blocks of four.
  kTwoOfFour,     // Two of each four columns.
  kKernel,        // Kernels of four of nine entries.
};

struct FormChoice {
  Form form;
  std::string note;  // Why it is not that of the pattern; empty where it is.
};

// Of layers that mix channels: conv1x1, fully_connected or conv.

// Whether a sparse form may be the fastest. Below a third of zeros none is; most dense layers have
// no zeros at all.
bool MayBeSparse(const LayerView& layer);

// `weights` are those of the layer.
FormChoice ChooseForm(const LayerView& layer, const WeightRows& weights, Isa isa);

}  // namespace sparsenas
