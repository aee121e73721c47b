// Sparse matrices as they come in, before an operator packs them its own way.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sparsenas {

// The nonzeros of a [rows, columns] matrix, row after row, columns ascending within a row.
struct SparseRows {
  size_t rows;             // D
  size_t columns;          // C
  size_t nonzeros;         // K
  const uint32_t* counts;  // [D], nonzeros of each row.
  const uint32_t* column;  // [K], in [0, C).
  const float* value;      // [K], finite.
};

// Returns how many places a packing in blocks of `rows` rows stores: pairs of such a block and a
// column in which at least one of its rows has a nonzero. `rows` times as many weights are
// multiplied; where that is close to `nonzeros`, zeros lie in blocks.
size_t CountBlocks(const SparseRows& weight, size_t rows);

// Fails unless all that SparseRows promises is so. `op` names the operator in the message.
void CheckSparseRows(const SparseRows& weight, const char* op);

// Fails unless all `size` values are finite. `what` names them in the message.
void CheckFinite(const float* values, size_t size, const char* op, const char* what);

}  // namespace sparsenas
