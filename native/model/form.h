// Decides how the weights of a layer are packed: in the form that runs fastest with the zeros they
// have, which need not be the pattern that the file names.
#pragma once

#include <string>
#include <vector>

#include "base/arch.h"
#include "model/format.h"
#include "model/weight_rows.h"

namespace sparsenas {

// Numbers in tuned model files; a number never changes its meaning.
enum class Form : uint32_t {
  kDense = 0,         // Every weight.
  kUnstructured = 1,  // Nonzeros one by one; direct convolution where kernels are larger than 1x1.
  kBlock2 = 2,        // Blocks of two output channels at one column.
  kBlock4 = 3,        // Blocks of four.
  kTwoOfFour = 4,     // Two of each four columns.
  kKernel = 5,        // Kernels of four of nine entries.
};
constexpr uint32_t kForms = 6;

// "dense", "unstructured", "2x1", "4x1", "2:4" or "pattern".
const char* Name(Form form);

struct FormChoice {
  Form form;
  std::string note;  // Why: "unstructured: 90% zeros, pays from 41%".
};

// Whether layers of an operator may run in a form: kDense for all.
bool Runs(Op op, Form form);

// The following are for layers that mix channels: conv1x1, fully_connected or conv.

// Whether a sparse form may be the fastest. Below a third of zeros none is; most dense layers have
// no zeros at all.
bool MayBeSparse(const LayerView& layer);

// Whether the zeros of the weights are where a form that the operator runs in needs them.
bool ZerosAllow(const LayerView& layer, const WeightRows& weights, Form form);

struct FormEstimate {
  Form form;
  double time;       // In units of one weight of the dense kernel.
  double pays_from;  // Fraction of weights that need not be held for it to be as fast as dense.
};

// Of kDense first and of every form that the zeros allow.
std::vector<FormEstimate> EstimateForms(const LayerView& layer, const WeightRows& weights, Isa isa);

// At once, by estimates. `weights` are those of the layer.
FormChoice ChooseForm(const LayerView& layer, const WeightRows& weights, Isa isa);

// Where a layer is not MayBeSparse.
FormChoice ChooseDense(const LayerView& layer, Isa isa);

}  // namespace sparsenas
