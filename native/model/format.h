// Reads the model file `.snas`, which docs/format.md describes byte by byte.
//
// Everything is checked before it is used: whoever holds a ModelView may index with any number in
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "kernels/activation.h"

namespace sparsenas {

// Version 1 has no tuning section, and only from version 3 on may layers be stored in less room.
constexpr uint32_t kFormatVersion = 3;

// Where a layer's `inputs` mean the network's input.
constexpr int32_t kImage = -1;

// Numbers in the file; a number never changes its meaning.
enum class Op : uint32_t {
  kConvHwc = 0,
  kConv1x1 = 1,
  kDepthwise = 2,
  kAdd = 3,
  kGlobalAveragePool = 4,
  kFullyConnected = 5,
  kConv = 6,
  kMaxPool = 7,
  kAveragePool = 8,
  kMultiply = 9,
};
enum class Pattern : uint32_t {
  kDense = 0,
  kUnstructured = 1,
  kBlock2 = 2,
  kBlock4 = 3,
  k2By4 = 4,
  kKernel = 5,
};
enum class InputLayout : uint32_t { kHwc = 0, kChw = 1 };

const char* Name(Op op);
const char* Name(Pattern pattern);
const char* Name(Activation activation);

// What a layer is, without its weights.
struct Layer {
  std::string name;
  Op op;
  Pattern pattern;
  Activation activation;
  std::vector<int32_t> inputs;  // Positions of earlier layers, or kImage.
  uint32_t c_in, c_out;
  uint32_t height, width;  // Of the (first) input.
  uint32_t out_height, out_width;
  uint32_t kernel, stride, padding;
  size_t nonzeros;  // Weights in the file; all of them where dense.

  // What an output channel has weights for: [C], [C, K, K] of a conv, or [C, H, W] of a fully
  // connected layer.
  uint64_t columns() const;

  // Weights with their zeros.
  uint64_t dense_weights() const;

  // Output channels whose weights stand together: 2 or 4 for blocks, otherwise 1.
  uint32_t block_rows() const;
};

struct LayerView : Layer {
  size_t offset;  // Of the layer's record in the file, for later errors.
  // In the file's bytes, or below where the file has halves; null for an operator without weights.
  const float* weight;  // [nonzeros]
  const float* bias;    // [c_out]
  std::shared_ptr<const AlignedArray<float>> wide_weight, wide_bias;
  // Empty where dense. Rows of blocks, which are rows of weights where block_rows() is 1:
  std::vector<uint32_t> row_blocks;     // [ceil(c_out / block_rows())]
  std::vector<uint32_t> block_columns;  // Row by row, ascending in a row.
};

struct ModelView {
  std::string file;  // Name for errors.
  uint32_t height, width, channels;
  InputLayout input_layout;
  std::vector<LayerView> layers;
  std::vector<std::string> classes;
  const uint8_t* bytes = nullptr;  // Of the file.
  size_t size = 0;
  size_t tuning = 0;  // Offset of the tuning section (model/tuning.h), 0 where there is none.
};

// Checks the bytes of a model file and returns views into them, which live as long as the bytes.
// `bytes` is aligned to 64. Fails with one line that names file, offset, expected and found.
ModelView ReadModel(const uint8_t* bytes, size_t size, const std::string& file);

}  // namespace sparsenas
