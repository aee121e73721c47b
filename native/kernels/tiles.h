// Cuts a run of vectors into tiles of nearly equal size: nine vectors in tiles of at most eight are
// five and four, never eight and one, because a tile of one leaves most of the core idle.
#pragma once

#include <cstddef>

namespace sparsenas {
namespace {

// Vectors of pixels of a dense tile: 32 registers hold 8 x 3 sums, three vectors of pixels and a
// weight, 16 hold 4 x 3, fewer 4 x 2.
template <class V>
constexpr size_t kTileVectors = V::kRegisters >= 16 ? 3 : 2;

constexpr size_t TileCount(size_t size, size_t most) { return (size + most - 1) / most; }

// Where tile `i` of `count` begins; tile `count` begins at `size`.
constexpr size_t TileStart(size_t size, size_t count, size_t i) {
  const size_t longer = size % count;  // The first so many tiles have one more.
  return size / count * i + (i < longer ? i : longer);
}

}  // namespace
}  // namespace sparsenas
