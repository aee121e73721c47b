// The weights of a layer as rows of nonzeros, whatever the pattern they have in the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/sparse_rows.h"
#include "model/format.h"

namespace sparsenas {

// Some output channels of a layer.
struct Rows {
  size_t begin, end;

  size_t size() const { return end - begin; }
};

class WeightRows {
 public:
  // Of a conv1x1, fully_connected or conv. Zeros in the file are left out.
  explicit WeightRows(const LayerView& layer);

  size_t size() const { return counts_.size(); }  // D
  size_t columns() const { return columns_; }
  size_t nonzeros() const { return column_.size(); }
  size_t nonzeros(Rows rows) const { return first_[rows.end] - first_[rows.begin]; }

  // Points into this object.
  SparseRows Sparse(Rows rows) const;

  // [rows, columns] with all zeros.
  std::vector<float> Dense(Rows rows) const;

 private:
  void Add(uint32_t column, float value);
  void EndRow();

  size_t columns_;
  std::vector<uint32_t> counts_;  // [D]
  std::vector<size_t> first_;     // [D + 1], where each row begins in `column_`.
  std::vector<uint32_t> column_;
  std::vector<float> value_;
};

}  // namespace sparsenas
