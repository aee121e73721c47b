// Places buffers that live for a while in one piece of memory.
#pragma once

#include <cstddef>
#include <vector>

namespace sparsenas {

struct Buffer {
  size_t floats;      // A multiple of 16, so that every buffer starts at 64 bytes.
  size_t first_step;  // That writes it.
  size_t last_step;   // That reads it.
};

struct Arena {
  std::vector<size_t> offsets;  // In floats, one per buffer.
  size_t floats = 0;
};

// Returns places such that buffers that live at the same time do not overlap.
Arena PlaceBuffers(const std::vector<Buffer>& buffers);

}  // namespace sparsenas
