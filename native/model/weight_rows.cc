#include "model/weight_rows.h"

#include <algorithm>

namespace sparsenas {

WeightRows::WeightRows(const LayerView& layer) : columns_(layer.columns()), first_{0} {
  counts_.reserve(layer.c_out);
  const float* value = layer.weight;
  if (layer.pattern == Pattern::kDense) {
    for (uint32_t d = 0; d < layer.c_out; ++d) {
      for (size_t c = 0; c < columns_; ++c) Add(static_cast<uint32_t>(c), *value++);
      EndRow();
    }
    return;
  }
  const uint32_t* column = layer.block_columns.data();
  uint32_t d = 0;
  for (const uint32_t blocks : layer.row_blocks) {
    const uint32_t height = std::min(layer.block_rows(), layer.c_out - d);
    for (uint32_t i = 0; i < height; ++i) {
      for (uint32_t k = 0; k < blocks; ++k) Add(column[k], value[k * height + i]);
      EndRow();
    }
    column += blocks;
    value += size_t{blocks} * height;
    d += height;
  }
}

void WeightRows::Add(uint32_t column, float value) {
  if (value == 0.0f) return;
  column_.push_back(column);
  value_.push_back(value);
}

void WeightRows::EndRow() {
  counts_.push_back(static_cast<uint32_t>(column_.size() - first_.back()));
  first_.push_back(column_.size());
}

SparseRows WeightRows::Sparse(Rows rows) const {
  const size_t first = first_[rows.begin];
  SparseRows sparse;
  sparse.rows = rows.size();
  sparse.columns = columns_;
  sparse.nonzeros = nonzeros(rows);
  sparse.counts = counts_.data() + rows.begin;
  sparse.column = column_.data() + first;
  sparse.value = value_.data() + first;
  return sparse;
}

std::vector<float> WeightRows::Dense(Rows rows) const {
  std::vector<float> dense(rows.size() * columns_);
  for (size_t d = rows.begin; d < rows.end; ++d) {
    float* row = dense.data() + (d - rows.begin) * columns_;
    for (size_t k = first_[d]; k < first_[d + 1]; ++k) row[column_[k]] = value_[k];
  }
  return dense;
}

}  // namespace sparsenas
