// Decides how the weights of a layer are packed: in the form that runs fastest with the zeros they
// have, which need not be the pattern that the file names.
#pragma once

#include <string>

#include "base/arch.h"
#include "model/format.h"

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

// `layer` mixes channels: conv1x1, fully_connected or conv.
FormChoice ChooseForm(const LayerView& layer, Isa isa);

}  // namespace sparsenas
