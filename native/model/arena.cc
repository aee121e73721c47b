#include "model/arena.h"

#include <algorithm>

#include "base/order.h"

namespace sparsenas {

// The largest first, each at the lowest place that is free while it lives (Pisarchyk and Lee, 2020,
// https://arxiv.org/abs/2001.03288). A chain of layers comes out as two buffers that take turns.
Arena PlaceBuffers(const std::vector<Buffer>& buffers) {
  Arena arena;
  arena.offsets.resize(buffers.size());
  std::vector<double> keys;
  for (const Buffer& buffer : buffers) keys.push_back(-double(buffer.floats));

  std::vector<size_t> placed;  // By ascending offset.
  for (const size_t i : OrderBy(keys)) {
    const Buffer& buffer = buffers[i];
    size_t offset = 0;
    for (const size_t j : placed) {
      const Buffer& other = buffers[j];
      const bool apart = other.last_step < buffer.first_step || buffer.last_step < other.first_step;
      if (apart) continue;
      if (offset + buffer.floats <= arena.offsets[j]) break;
      offset = std::max(offset, arena.offsets[j] + other.floats);
    }
    arena.offsets[i] = offset;
    arena.floats = std::max(arena.floats, offset + buffer.floats);
    const auto place =
        std::upper_bound(placed.begin(), placed.end(), offset,
                         [&](size_t value, size_t j) { return value < arena.offsets[j]; });
    placed.insert(place, i);
  }
  return arena;
}

}  // namespace sparsenas
