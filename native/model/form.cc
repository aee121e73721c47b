#include "model/form.h"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace sparsenas {
namespace {

// What a form takes, in units of one weight of the dense kernel: for each weight it holds, zeros
// inside blocks included, and for each row of blocks, be it empty: the bias, the activation, the
// store and the end of a loop that the processor did not foresee.
struct FormCost {
  Form form;
  double weight;
  double row;
};

// Estimates are not so exact that another sparse form is worth it for a few percent.
constexpr double kNear = 1.1;

Form FormOf(Pattern pattern) {
  switch (pattern) {
    case Pattern::kDense:
      return Form::kDense;
    case Pattern::kUnstructured:
      return Form::kUnstructured;
    case Pattern::k2By4:
      return Form::kTwoOfFour;
    case Pattern::kBlock2:
      return Form::kBlock2;
    case Pattern::kBlock4:
      return Form::kBlock4;
    case Pattern::kKernel:
      return Form::kKernel;
  }
  return Form::kDense;
}

// Fits to times on a Zen 5 core over the 1x1 layers of MobileNet v1 and v2 with 5% to 60% nonzeros,
// off by 5% to 14% on average. NEON and WebAssembly take the numbers of AVX2: they too can load a
// vector for each multiply-add.
std::vector<FormCost> Conv1x1Costs(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return {{Form::kUnstructured, 1.2, 2}, {Form::kBlock2, 1.3, 5}, {Form::kBlock4, 1.3, 11}};
    case Isa::kAvx512:
      return {{Form::kUnstructured, 1.5, 2}, {Form::kBlock2, 1.1, 5}, {Form::kBlock4, 0.95, 11}};
    default:
      return {{Form::kUnstructured, 1.15, 2}, {Form::kBlock2, 0.9, 4}, {Form::kBlock4, 0.9, 9}};
  }
}

// Likewise over 512x256, 1024x1000 and 4096x4096 with 2% to 50% nonzeros, one for each of where the
// dense kernel has its weights from: the level 2 cache gives 16 in a cycle, main memory less than
// 3. A row of unstructured weights is dear because rows side by side wait for each other. The
// numbers of NEON and WebAssembly are estimates from their instructions.
std::vector<FormCost> FullyConnectedCosts(const LayerView& layer, Isa isa) {
  static const uint64_t l2_bytes = L2Bytes();
  const uint64_t bytes = layer.dense_weights() * sizeof(float);
  const auto costs = [](double unstructured, double row, double block4, double two_of_four) {
    return std::vector<FormCost>{{Form::kUnstructured, unstructured, row},
                                 {Form::kBlock4, block4, row / 2},
                                 {Form::kTwoOfFour, two_of_four, 0}};
  };
  const bool l2 = bytes <= l2_bytes, l3 = bytes <= 16 * l2_bytes;
  switch (isa) {
    case Isa::kScalar:
      return {{Form::kUnstructured, 1.4, 2}, {Form::kBlock4, 0.55, 16}, {Form::kTwoOfFour, 1.2, 0}};
    case Isa::kAvx512:
      return l2 ? costs(2.7, 80, 3.6, 1.1) : l3 ? costs(1.5, 40, 1.5, 1) : costs(1.7, 20, 1.6, 1.1);
    case Isa::kAvx2:
      return l2 ? costs(2.9, 85, 3.1, 1.3) : l3 ? costs(2, 70, 1.8, 1) : costs(2, 35, 1.9, 1.1);
    default:
      return l2 ? costs(5, 20, 3, 2.5) : l3 ? costs(3, 10, 2, 1.5) : costs(2, 5, 1.5, 1.2);
  }
}

// Likewise over 3x3 layers of 48 to 512 channels, 5% to 50% nonzeros, off by 7% to 13%. A row is
// dear here: filling the panel, which all rows share, takes the dense kernel next to nothing.
std::vector<FormCost> ConvCosts(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return {{Form::kUnstructured, 0.5, 25}, {Form::kKernel, 0.6, 25}};
    case Isa::kAvx512:
      return {{Form::kUnstructured, 1.35, 54}, {Form::kKernel, 1.1, 20}};
    default:
      return {{Form::kUnstructured, 1.1, 26}, {Form::kKernel, 1.0, 28}};
  }
}

std::vector<FormCost> Costs(const LayerView& layer, Isa isa) {
  if (layer.op == Op::kFullyConnected) return FullyConnectedCosts(layer, isa);
  return layer.op == Op::kConv ? ConvCosts(isa) : Conv1x1Costs(isa);
}

size_t DenseNonzeros(const LayerView& layer) {
  return layer.nonzeros - size_t(std::count(layer.weight, layer.weight + layer.nonzeros, 0.0f));
}

double PaysFrom(const FormCost& cost, double rows, double dense) {
  return 1 - (dense - cost.row * rows) / (cost.weight * dense);
}

uint32_t RowsOf(Form form) { return form == Form::kBlock2 ? 2 : form == Form::kBlock4 ? 4 : 1; }

// "unstructured: 90% zeros, pays from 41%".
std::string Reason(Form form, double zeros, double pays_from) {
  char note[96];
  if (zeros == 0) {
    std::snprintf(note, sizeof note, "%s: no zeros", Name(form));
  } else if (pays_from >= 1) {
    std::snprintf(note, sizeof note, "%s: %.0f%% zeros, never pays", Name(form), 100 * zeros);
  } else {
    std::snprintf(note, sizeof note, "%s: %.0f%% zeros, pays from %.0f%%", Name(form), 100 * zeros,
                  100 * std::max(pays_from, 0.0));
  }
  return note;
}

bool ZerosAllowTwoOfFour(const SparseRows& rows) {
  const uint32_t* column = rows.column;
  for (size_t d = 0; d < rows.rows; ++d) {
    // Columns ascend, so that more than two of a group stand side by side.
    for (uint32_t k = 2; k < rows.counts[d]; ++k) {
      if (column[k - 2] / 4 == column[k] / 4) return false;
    }
    column += rows.counts[d];
  }
  return true;
}

// At most three nonzeros besides the centre of each kernel.
bool ZerosAllowKernels(const SparseRows& rows) {
  if (rows.columns % 9 != 0) return false;
  const uint32_t* column = rows.column;
  for (size_t d = 0; d < rows.rows; ++d) {
    uint32_t kernel = 0, besides = 0;
    for (uint32_t k = 0; k < rows.counts[d]; ++k, ++column) {
      if (*column / 9 != kernel) besides = 0;
      kernel = *column / 9;
      if (*column % 9 != 4 && ++besides > 3) return false;
    }
  }
  return true;
}

}  // namespace

const char* Name(Form form) {
  switch (form) {
    case Form::kDense:
      return "dense";
    case Form::kUnstructured:
      return "unstructured";
    case Form::kBlock2:
      return "2x1";
    case Form::kBlock4:
      return "4x1";
    case Form::kTwoOfFour:
      return "2:4";
    case Form::kKernel:
      return "pattern";
  }
  return "";
}

bool Runs(Op op, Form form) {
  switch (form) {
    case Form::kDense:
      return true;
    case Form::kUnstructured:
      return op == Op::kConv1x1 || op == Op::kFullyConnected || op == Op::kConv;
    case Form::kBlock2:
      return op == Op::kConv1x1;
    case Form::kBlock4:
      return op == Op::kConv1x1 || op == Op::kFullyConnected;
    case Form::kTwoOfFour:
      return op == Op::kFullyConnected;
    case Form::kKernel:
      return op == Op::kConv;
  }
  return false;
}

bool MayBeSparse(const LayerView& layer) {
  return layer.pattern != Pattern::kDense || 3 * DenseNonzeros(layer) <= 2 * layer.nonzeros;
}

bool ZerosAllow(const LayerView& layer, const WeightRows& weights, Form form) {
  const SparseRows rows = weights.Sparse({0, weights.size()});
  if (form == Form::kTwoOfFour) return ZerosAllowTwoOfFour(rows);
  if (form == Form::kKernel) return layer.kernel == 3 && ZerosAllowKernels(rows);
  return true;
}

std::vector<FormEstimate> EstimateForms(const LayerView& layer, const WeightRows& weights,
                                        Isa isa) {
  const double dense = double(layer.dense_weights());
  std::vector<FormEstimate> estimates = {{Form::kDense, dense, 0}};
  for (const FormCost& cost : Costs(layer, isa)) {
    if (!ZerosAllow(layer, weights, cost.form)) continue;
    const uint32_t height = RowsOf(cost.form);
    const double held =
        cost.form == Form::kTwoOfFour
            ? dense / 2
            : height * double(CountBlocks(weights.Sparse({0, layer.c_out}), height));
    const double rows = double(layer.c_out) / height;
    estimates.push_back(
        {cost.form, cost.weight * held + cost.row * rows, PaysFrom(cost, rows, dense)});
  }
  return estimates;
}

FormChoice ChooseForm(const LayerView& layer, const WeightRows& weights, Isa isa) {
  const Form wanted = FormOf(layer.pattern);
  std::vector<FormEstimate> estimates = EstimateForms(layer, weights, isa);
  // Whose kernels were fitted to layers that were pruned for them: not to be taken by chance.
  const auto by_chance = [&](const FormEstimate& estimate) {
    return (estimate.form == Form::kTwoOfFour || estimate.form == Form::kKernel) &&
           estimate.form != wanted;
  };
  estimates.erase(std::remove_if(estimates.begin(), estimates.end(), by_chance), estimates.end());
  const auto own =
      std::find_if(estimates.begin(), estimates.end(),
                   [&](const FormEstimate& estimate) { return estimate.form == wanted; });
  const auto faster = [](const FormEstimate& a, const FormEstimate& b) { return a.time < b.time; };
  auto best = std::min_element(estimates.begin(), estimates.end(), faster);
  const bool near = own != estimates.end() && own->time < kNear * best->time;
  if (near && best->form != Form::kDense) best = own;
  const double zeros = 1 - double(weights.nonzeros()) / double(layer.dense_weights());
  if (own != estimates.end() && own != best && own->form != Form::kDense &&
      best->form != Form::kDense) {
    char note[96];
    std::snprintf(note, sizeof note, "%s: %.0f%% zeros, %s estimated to take %.1f times as long",
                  Name(best->form), 100 * zeros, Name(wanted), own->time / best->time);
    return {best->form, note};
  }
  // A dense layer says from where the best sparse form pays, a sparse one from where its own does.
  auto pays = best;
  if (best->form == Form::kDense) {
    pays = own == estimates.end() || own->form == Form::kDense
               ? std::min_element(estimates.begin() + 1, estimates.end(), faster)
               : own;
  }
  return {best->form, Reason(best->form, zeros, pays->pays_from)};
}

FormChoice ChooseDense(const LayerView& layer, Isa isa) {
  const double dense = double(layer.dense_weights());
  double from = 1;
  for (const FormCost& cost : Costs(layer, isa)) {
    if (cost.form == Form::kTwoOfFour || cost.form == Form::kKernel) continue;
    from = std::min(from, PaysFrom(cost, double(layer.c_out) / RowsOf(cost.form), dense));
  }
  const double zeros = 1 - double(DenseNonzeros(layer)) / dense;
  return {Form::kDense, Reason(Form::kDense, zeros, from)};
}

}  // namespace sparsenas
