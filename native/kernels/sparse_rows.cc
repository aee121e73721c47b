#include "kernels/sparse_rows.h"

#include <cmath>
#include <vector>

#include "base/error.h"

namespace sparsenas {

size_t CountBlocks(const SparseRows& weight, size_t rows) {
  // The block that was last seen in each column, plus one.
  std::vector<size_t> seen(weight.columns);
  size_t blocks = 0, k = 0;
  for (size_t d = 0; d < weight.rows; ++d) {
    const size_t block = d / rows + 1;
    for (const size_t end = k + weight.counts[d]; k < end; ++k) {
      blocks += seen[weight.column[k]] != block;
      seen[weight.column[k]] = block;
    }
  }
  return blocks;
}

void CheckFinite(const float* values, size_t size, const char* op, const char* what) {
  for (size_t i = 0; i < size; ++i) {
    if (!std::isfinite(values[i]))
      Fail("%s: expected finite %s, found %g at index %zu; was the training diverging?", op, what,
           static_cast<double>(values[i]), i);
  }
}

void CheckSparseRows(const SparseRows& weight, const char* op) {
  if (weight.rows == 0 || weight.columns == 0)
    Fail("%s: expected at least one channel in and out, found %zu in and %zu out.", op,
         weight.columns, weight.rows);
  // Counted in 64 bits and row by row, so that nothing below reads past `nonzeros`.
  size_t k = 0;
  for (size_t d = 0; d < weight.rows; ++d) {
    const size_t count = weight.counts[d];
    if (count > weight.nonzeros - k)
      Fail(
          "%s: expected %zu nonzeros in all, found more by row %zu; the counts of the rows must "
          "add "
          "up to it.",
          op, weight.nonzeros, d);
    for (size_t i = 0; i < count; ++i, ++k) {
      if (weight.column[k] >= weight.columns)
        Fail("%s: expected column indices below %zu, found %u in row %zu (nonzero %zu).", op,
             weight.columns, weight.column[k], d, k);
      if (i > 0 && weight.column[k] <= weight.column[k - 1])
        Fail("%s: expected ascending column indices, found %u after %u in row %zu (nonzero %zu).",
             op, weight.column[k], weight.column[k - 1], d, k);
    }
  }
  if (k != weight.nonzeros)
    Fail("%s: expected %zu nonzeros in all, found %zu; the counts of the rows must add up to it.",
         op, weight.nonzeros, k);
  CheckFinite(weight.value, weight.nonzeros, op, "weights");
}

}  // namespace sparsenas
