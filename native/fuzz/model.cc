// Reads arbitrary bytes as a model file and runs what is sound, for libFuzzer:
//
//   sparsenas-fuzz-model CORPUS -max_len=65536 -runs=5000000
//
// Magic, version, size and checksum are put right first: almost every change would end there
// (model/test.cc looks at each of those). Nothing is tuned here: seeds bring their sections
// (corpus.py).
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "base/aligned.h"
#include "base/arch.h"
#include "model/crc32.h"
#include "model/format.h"
#include "model/model.h"

namespace {

// What runs in a fraction of a millisecond, so that a second sees thousands of inputs.
constexpr uint64_t kMostWork = 1 << 20;

bool IsSmall(const sparsenas::ModelView& model) {
  uint64_t work = uint64_t{model.height} * model.width * model.channels;
  for (const sparsenas::LayerView& layer : model.layers) {
    const uint64_t in = uint64_t{layer.height} * layer.width;
    const uint64_t out = uint64_t{layer.out_height} * layer.out_width;
    const uint64_t window = uint64_t{layer.kernel} * layer.kernel;
    if (in > kMostWork || out > kMostWork || layer.dense_weights() > kMostWork) return false;
    work += in * layer.c_in + out * (layer.c_out * (1 + window) + layer.dense_weights());
    if (work > kMostWork) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sparsenas::AlignedArray<uint8_t> bytes(size);
  if (size > 0) std::memcpy(bytes.data(), data, size);
  if (size >= 64) {
    const uint64_t file_bytes = size;
    std::memcpy(bytes.data(), "SNAS", 4);
    // The newest version allows all that others do.
    std::memcpy(bytes.data() + 4, &sparsenas::kFormatVersion, 4);
    std::memcpy(bytes.data() + 8, &file_bytes, 8);
    const uint32_t checksum = sparsenas::Crc32(bytes.data() + 20, size - 20);
    std::memcpy(bytes.data() + 16, &checksum, 4);
  }
  try {
    const sparsenas::ModelView view = sparsenas::ReadModel(bytes.data(), size, "fuzz");
    if (!IsSmall(view)) return 0;
    sparsenas::Model model =
        sparsenas::Model::FromBytes(bytes.data(), size, "fuzz", sparsenas::DefaultIsa());
    const std::vector<float> image(model.plan().image_floats(), 0.5f);
    std::vector<float> outputs(model.plan().outputs);
    model.Run(image.data(), outputs.data());
  } catch (const std::invalid_argument&) {
    // One line that says what is wrong, as there should be.
  }
  return 0;
}
