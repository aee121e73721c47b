#include "model/format.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>

#include "base/aligned.h"
#include "base/error.h"
#include "model/crc32.h"
#include "model/half.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Model files are little-endian and used where they lie; this machine is not."
#endif

namespace sparsenas {
namespace {

constexpr size_t kHeaderBytes = 64;
constexpr size_t kLayerBytes = 128;
constexpr size_t kChecksumEnd = 20;
constexpr int32_t kUnusedInput = -2;

// Generous for any network, small enough that no product of a layer's numbers overflows 64 bits.
constexpr uint32_t kMaxLayers = 4096;  // The time of planning grows with the square.
constexpr uint32_t kMaxClasses = 1u << 20;
constexpr uint32_t kMaxChannels = 1u << 20;
constexpr uint32_t kMaxSide = 1u << 15;
constexpr uint32_t kMaxKernel = 31;
constexpr uint64_t kMaxColumns = 1u << 30;  // Of a fully connected layer.

// Offsets in the header.
constexpr size_t kVersion = 4, kFileBytes = 8, kChecksum = 16, kInputLayout = 20, kHeight = 24,
                 kWidth = 28, kChannels = 32, kLayerCount = 36, kClassCount = 40, kTuning = 44,
                 kStringsOffset = 48, kStringsBytes = 56;

// Offsets in a layer record.
constexpr size_t kLayerOp = 0, kLayerPattern = 4, kLayerActivation = 8, kLayerInputCount = 12,
                 kLayerInputs = 16, kLayerCIn = 24, kLayerCOut = 28, kLayerHeight = 32,
                 kLayerWidth = 36, kLayerKernel = 40, kLayerStride = 44, kLayerNonzeros = 48,
                 kLayerWeight = 56, kLayerBias = 72, kLayerCounts = 88, kLayerColumns = 104,
                 kLayerPadding = 120, kLayerPacking = 124;

// Bits of a layer's packing.
constexpr uint32_t kHalfWeights = 1, kShortCounts = 2, kNibbleSteps = 4;

constexpr const char* kOpNames[] = {
    "conv_hwc",        "conv1x1", "depthwise", "add",          "global_average_pool",
    "fully_connected", "conv",    "max_pool",  "average_pool", "multiply"};
constexpr const char* kPatternNames[] = {"dense",  "unstructured", "block2",
                                         "block4", "2:4",          "pattern"};
constexpr const char* kActivationNames[] = {"none",  "relu",    "relu6",       "hard_swish",
                                            "swish", "sigmoid", "hard_sigmoid"};

// Whether weights of an operator may have a pattern.
bool Allows(Op op, Pattern pattern) {
  switch (pattern) {
    case Pattern::kDense:
      return true;
    case Pattern::kUnstructured:
      return op == Op::kConv1x1 || op == Op::kFullyConnected || op == Op::kConv;
    case Pattern::kBlock2:
    case Pattern::kBlock4:
      return op == Op::kConv1x1 || op == Op::kFullyConnected;
    case Pattern::k2By4:
      return op == Op::kFullyConnected;
    case Pattern::kKernel:
      return op == Op::kConv;
  }
  return false;
}

bool IsPool(Op op) { return op == Op::kMaxPool || op == Op::kAveragePool; }

std::string Text(uint64_t number) { return std::to_string(number); }
std::string Text(uint32_t number) { return std::to_string(number); }
std::string Text(int32_t number) { return std::to_string(number); }

std::string Hex(uint32_t number) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08" PRIx32, number);
  return text;
}

bool IsFinite(uint32_t float_bits) { return (float_bits & 0x7f800000u) != 0x7f800000u; }

// Returns the position of the first byte that is not valid UTF-8 or starts a control character, or
// `size`.
size_t FindBadText(const uint8_t* text, size_t size) {
  size_t i = 0;
  while (i < size) {
    const uint8_t lead = text[i];
    size_t length;
    uint32_t code, least;
    if (lead < 0x80) {
      if (lead < 0x20 || lead == 0x7f) return i;
      ++i;
      continue;
    } else if ((lead & 0xe0) == 0xc0) {
      length = 2, code = lead & 0x1f, least = 0x80;
    } else if ((lead & 0xf0) == 0xe0) {
      length = 3, code = lead & 0x0f, least = 0x800;
    } else if ((lead & 0xf8) == 0xf0) {
      length = 4, code = lead & 0x07, least = 0x10000;
    } else {
      return i;
    }
    if (length > size - i) return i;
    for (size_t k = 1; k < length; ++k) {
      if ((text[i + k] & 0xc0) != 0x80) return i;
      code = code << 6 | (text[i + k] & 0x3f);
    }
    const bool surrogate = code >= 0xd800 && code < 0xe000;
    if (code < least || code > 0x10ffff || surrogate) return i;
    i += length;
  }
  return size;
}

class Reader {
 public:
  Reader(const uint8_t* bytes, size_t size, const std::string& file)
      : bytes_(bytes), size_(size), file_(file) {}

  ModelView Read() {
    CheckFrame();
    ModelView model;
    model.file = file_;
    model.input_layout =
        static_cast<InputLayout>(Between(kInputLayout, "input_layout (0 hwc, 1 chw)", 0, 1));
    model.height = Between(kHeight, "image height", 1, kMaxSide);
    model.width = Between(kWidth, "image width", 1, kMaxSide);
    model.channels = Between(kChannels, "image channels", 1, kMaxChannels);
    const uint32_t layers = Between(kLayerCount, "layer_count", 1, kMaxLayers);
    const uint32_t classes = Between(kClassCount, "class_count", 0, kMaxClasses);
    const uint64_t layers_end = kHeaderBytes + uint64_t{kLayerBytes} * layers;
    if (layers_end > size_) {
      Fail(kLayerCount, "layer_count",
           "at most " + Text(uint64_t{(size_ - kHeaderBytes) / kLayerBytes}) +
               ", as many as the file has room for",
           Text(layers));
    }
    blobs_begin_ = layers_end;
    model.bytes = bytes_;
    model.size = size_;
    model.tuning = ReadTuningOffset();

    std::vector<std::string> strings = ReadStrings(uint64_t{layers} + classes);
    model.layers.reserve(layers);
    for (uint32_t i = 0; i < layers; ++i) {
      where_ = "layer " + Text(i) + " '" + strings[i] + "': ";
      model.layers.push_back(ReadLayer(i, strings[i], model));
    }
    where_.clear();
    const LayerView& last = model.layers.back();
    if (classes != 0 && (last.op != Op::kFullyConnected || last.c_out != classes)) {
      Fail(kClassCount, "class_count",
           last.op == Op::kFullyConnected
               ? "0 or " + Text(last.c_out) + ", the outputs of the last layer"
               : std::string("0, as the last layer is no fully_connected"),
           Text(classes));
    }
    model.classes.assign(strings.begin() + layers, strings.end());
    return model;
  }

 private:
  [[noreturn]] void Fail(uint64_t offset, const std::string& what, const std::string& expected,
                         const std::string& found) const {
    sparsenas::Fail("Model '%s', offset %" PRIu64 ": %s%s: expected %s, found %s.", file_.c_str(),
                    offset, where_.c_str(), what.c_str(), expected.c_str(), found.c_str());
  }

  // The caller has made sure that the number lies inside the file.
  uint16_t U16(size_t offset) const {
    uint16_t number;
    std::memcpy(&number, bytes_ + offset, sizeof number);
    return number;
  }
  uint32_t U32(size_t offset) const {
    uint32_t number;
    std::memcpy(&number, bytes_ + offset, sizeof number);
    return number;
  }
  uint64_t U64(size_t offset) const {
    uint64_t number;
    std::memcpy(&number, bytes_ + offset, sizeof number);
    return number;
  }

  uint32_t Between(size_t offset, const char* what, uint32_t least, uint32_t most) const {
    const uint32_t found = U32(offset);
    if (found < least || found > most) {
      Fail(offset, what, least == most ? Text(least) : Text(least) + " to " + Text(most),
           Text(found));
    }
    return found;
  }

  void Equal(size_t offset, const std::string& what, uint64_t expected, uint64_t found) const {
    if (expected != found) Fail(offset, what, Text(expected), Text(found));
  }

  // Magic, version, size and checksum, in this order: each error then says what the file really is.
  void CheckFrame() const {
    if (size_ < kHeaderBytes) {
      Fail(0, "file", "at least " + Text(uint64_t{kHeaderBytes}) + " bytes",
           Text(uint64_t{size_}) + " bytes");
    }
    if (std::memcmp(bytes_, "SNAS", 4) != 0) {
      Fail(0, "magic", Hex(0x53414e53) + " ('SNAS'; is this a model file?)", Hex(U32(0)));
    }
    const uint32_t version = U32(kVersion);
    if (version > kFormatVersion) {
      Fail(kVersion, "version (written by a newer sparsenas; update this one)",
           "at most " + Text(kFormatVersion), Text(version));
    }
    Between(kVersion, "version", 1, kFormatVersion);
    const uint64_t file_bytes = U64(kFileBytes);
    if (file_bytes != size_) {
      Fail(kFileBytes, "file_bytes (is the file complete?)", Text(uint64_t{size_}) + " as it has",
           Text(file_bytes));
    }
    const uint32_t checksum = Crc32(bytes_ + kChecksumEnd, size_ - kChecksumEnd);
    if (U32(kChecksum) != checksum) {
      Fail(kChecksum, "checksum (the file is damaged; copy or export it again)",
           Hex(checksum) + " by its content", Hex(U32(kChecksum)));
    }
  }

  // Whether what is there is sound is for ReadTuning to see.
  size_t ReadTuningOffset() const {
    if (U32(kVersion) == 1) return Between(kTuning, "tuning_offset (of version 1)", 0, 0);
    if (U32(kVersion) >= 3 && U32(kTuning) == 0) return 0;
    const uint64_t offset = uint64_t{U32(kTuning)} * kAlignment;
    if (offset < blobs_begin_ || offset > size_) {
      Fail(kTuning, "tuning_offset times 64", Text(blobs_begin_) + " to " + Text(uint64_t{size_}),
           Text(offset));
    }
    return offset;
  }

  std::vector<std::string> ReadStrings(uint64_t count) const {
    const uint64_t begin = U64(kStringsOffset), bytes = U64(kStringsBytes);
    if (begin < blobs_begin_ || begin > size_) {
      Fail(kStringsOffset, "strings_offset", Text(blobs_begin_) + " to " + Text(uint64_t{size_}),
           Text(begin));
    }
    if (bytes > size_ - begin) {
      Fail(kStringsBytes, "strings_bytes", "at most " + Text(size_ - begin), Text(bytes));
    }
    const uint64_t end = begin + bytes;
    std::vector<std::string> strings;
    uint64_t at = begin;
    for (uint64_t i = 0; i < count; ++i) {
      if (end - at < 4) {
        Fail(at, "strings", Text(count) + " names before offset " + Text(end), Text(i) + " names");
      }
      const uint32_t length = U32(at);
      at += 4;
      if (length > end - at) {
        Fail(at - 4, "length of a name", "at most " + Text(end - at), Text(length));
      }
      const size_t bad = FindBadText(bytes_ + at, length);
      if (bad != length) {
        Fail(at + bad, "name", "UTF-8 without control characters",
             "byte " + Text(uint32_t{bytes_[at + bad]}));
      }
      strings.emplace_back(reinterpret_cast<const char*>(bytes_ + at), length);
      at += length;
    }
    if (at != end) Fail(kStringsBytes, "strings_bytes", Text(at - begin), Text(bytes));
    return strings;
  }

  LayerView ReadLayer(uint32_t position, const std::string& name, const ModelView& model) const {
    const size_t at = kHeaderBytes + kLayerBytes * size_t{position};
    LayerView layer;
    layer.name = name;
    layer.offset = at;
    layer.op = static_cast<Op>(Between(at + kLayerOp, "op", 0, 9));
    layer.pattern = static_cast<Pattern>(Between(at + kLayerPattern, "pattern", 0, 5));
    layer.activation = static_cast<Activation>(Between(at + kLayerActivation, "activation", 0, 6));
    layer.c_in = Between(at + kLayerCIn, "c_in", 1, kMaxChannels);
    layer.c_out = Between(at + kLayerCOut, "c_out", 1, kMaxChannels);
    layer.height = Between(at + kLayerHeight, "height", 1, kMaxSide);
    layer.width = Between(at + kLayerWidth, "width", 1, kMaxSide);

    const bool pools = IsPool(layer.op);
    const bool windowed =
        pools || layer.op == Op::kConvHwc || layer.op == Op::kDepthwise || layer.op == Op::kConv;
    layer.kernel = Between(at + kLayerKernel, "kernel", 1, windowed ? kMaxKernel : 1);
    layer.stride = Between(at + kLayerStride, "stride", 1, windowed ? kMaxSide : 1);
    if (layer.kernel % 2 == 0 && !pools)
      Fail(at + kLayerKernel, "kernel", "an odd number", Text(layer.kernel));
    // A window of a conv or depthwise has its centre on a pixel; more is given to no other.
    const uint32_t half = layer.kernel / 2;
    const bool centred = layer.op == Op::kDepthwise || layer.op == Op::kConv;
    layer.padding = Between(at + kLayerPadding, "padding", centred ? half : 0, half);
    const uint32_t room = std::min(layer.height, layer.width) + 2 * layer.padding;
    Between(at + kLayerKernel, "kernel (inside the image and its padding)", 1, room);

    const bool mixes = layer.op == Op::kConvHwc || layer.op == Op::kConv1x1 ||
                       layer.op == Op::kFullyConnected || layer.op == Op::kConv;
    if (!mixes) Equal(at + kLayerCOut, "c_out (as c_in)", layer.c_in, layer.c_out);
    if (layer.op == Op::kFullyConnected && layer.columns() > kMaxColumns) {
      Fail(at + kLayerCIn, "c_in times height times width", "at most " + Text(kMaxColumns),
           Text(layer.columns()));
    }
    const auto out_side = [&](uint32_t side) {
      if (layer.op == Op::kGlobalAveragePool || layer.op == Op::kFullyConnected) return 1u;
      return (side + 2 * layer.padding - layer.kernel) / layer.stride + 1;
    };
    layer.out_height = out_side(layer.height);
    layer.out_width = out_side(layer.width);

    ReadInputs(at, position, model, &layer);
    ReadWeights(at, &layer);
    return layer;
  }

  void ReadInputs(size_t at, uint32_t position, const ModelView& model, LayerView* layer) const {
    const uint32_t count = layer->op == Op::kAdd || layer->op == Op::kMultiply ? 2 : 1;
    Between(at + kLayerInputCount, "input_count", count, count);
    for (uint32_t i = 0; i < 2; ++i) {
      const size_t here = at + kLayerInputs + 4 * i;
      const int32_t input = static_cast<int32_t>(U32(here));
      if (i >= count) {
        if (input != kUnusedInput) Fail(here, "unused input", Text(kUnusedInput), Text(input));
        continue;
      }
      if (input < kImage || input >= static_cast<int32_t>(position)) {
        Fail(here, "input", "-1 to " + Text(static_cast<int32_t>(position) - 1), Text(input));
      }
      const bool reads_hwc = layer->op == Op::kConvHwc;
      if (reads_hwc && input != kImage) {
        Fail(here, "input of conv_hwc", "-1, the image", Text(input));
      }
      if (input == kImage && reads_hwc != (model.input_layout == InputLayout::kHwc)) {
        Fail(here, std::string("input of ") + Name(layer->op),
             reads_hwc ? "an image in hwc" : "an earlier layer, or an image in chw",
             reads_hwc ? "an image in chw" : "an image in hwc");
      }
      const LayerView* producer = input == kImage ? nullptr : &model.layers[input];
      const char* giver = producer ? " (as the input has)" : " (as the image has)";
      Equal(at + kLayerCIn, std::string("c_in") + giver,
            producer ? producer->c_out : model.channels, layer->c_in);
      layer->inputs.push_back(input);
      const uint32_t height = producer ? producer->out_height : model.height;
      const uint32_t width = producer ? producer->out_width : model.width;
      // The second factor may be one number per channel.
      if (layer->op == Op::kMultiply && i == 1 && height == 1 && width == 1) continue;
      Equal(at + kLayerHeight, std::string("height") + giver, height, layer->height);
      Equal(at + kLayerWidth, std::string("width") + giver, width, layer->width);
    }
  }

  void ReadWeights(size_t at, LayerView* layer) const {
    const uint64_t dense = layer->dense_weights();
    const uint64_t nonzeros = U64(at + kLayerNonzeros);
    const bool sparse = layer->pattern != Pattern::kDense;
    if (!Allows(layer->op, layer->pattern)) {
      std::string allowed;
      for (uint32_t pattern = 0; pattern < std::size(kPatternNames); ++pattern) {
        if (!Allows(layer->op, static_cast<Pattern>(pattern))) continue;
        allowed +=
            (allowed.empty() ? "" : " or ") + Text(pattern) + " (" + kPatternNames[pattern] + ")";
      }
      Fail(at + kLayerPattern, std::string("pattern of ") + Name(layer->op), allowed,
           Text(static_cast<uint32_t>(layer->pattern)) + " (" + Name(layer->pattern) + ")");
    }
    if (layer->pattern == Pattern::kKernel) {
      Equal(at + kLayerKernel, "kernel (of kernel patterns)", 3, layer->kernel);
    }
    if (!sparse) Equal(at + kLayerNonzeros, "nonzeros", dense, nonzeros);
    if (nonzeros > dense) {
      Fail(at + kLayerNonzeros, "nonzeros", "at most " + Text(dense), Text(nonzeros));
    }
    layer->nonzeros = nonzeros;
    // The products cannot overflow: kMaxChannels^2 * kMaxKernel^2 * 4 < 2^64, and likewise
    // kMaxChannels * kMaxColumns * 4.
    const uint64_t biases = dense == 0 ? 0 : layer->c_out;
    const uint32_t allowed = dense == 0 || U32(kVersion) < 3 ? 0
                             : sparse ? kHalfWeights | kShortCounts | kNibbleSteps
                                      : kHalfWeights;
    const uint32_t packing = U32(at + kLayerPacking);
    if ((packing & ~allowed) != 0)
      Fail(at + kLayerPacking, "packing", "no bits but those of " + Text(allowed), Text(packing));
    if ((packing & kHalfWeights) != 0) {
      layer->wide_weight = Halves(at + kLayerWeight, "weight", nonzeros);
      layer->wide_bias = Halves(at + kLayerBias, "bias", biases);
      layer->weight = layer->wide_weight->data();
      layer->bias = layer->wide_bias->data();
    } else {
      layer->weight = Floats(at + kLayerWeight, "weight", nonzeros);
      layer->bias = Floats(at + kLayerBias, "bias", biases);
    }
    const uint64_t rows = CeilDiv(layer->c_out, layer->block_rows());
    const uint64_t count_bytes = sparse ? ((packing & kShortCounts) != 0 ? 2 : 4) * rows : 0;
    const uint64_t counts = Blob(at + kLayerCounts, "counts", count_bytes, count_bytes);
    // One step per block, of which the lowest have one nonzero, and at most one that places nothing
    // for every so many columns of a row.
    const bool nibbles = (packing & kNibbleSteps) != 0;
    const uint64_t least_steps = sparse ? CeilDiv(nonzeros, layer->block_rows()) : 0;
    const uint64_t most_steps =
        sparse ? nonzeros + rows * (layer->columns() / (nibbles ? 15 : 255)) : 0;
    const auto bytes_of = [&](uint64_t steps) { return nibbles ? steps / 2 + steps % 2 : steps; };
    const uint64_t steps =
        Blob(at + kLayerColumns, "columns", bytes_of(least_steps), bytes_of(most_steps));
    if (sparse) ReadRows(at, packing, counts, steps, layer);
    if (layer->pattern == Pattern::k2By4) CheckGroups(at, *layer);
    if (layer->pattern == Pattern::kKernel) CheckKernels(at, *layer);
  }

  // Checks offset and size of a blob, which stand at `at`, and returns its offset.
  uint64_t Blob(size_t at, const std::string& what, uint64_t least, uint64_t most) const {
    const uint64_t offset = U64(at), bytes = U64(at + 8);
    if (bytes < least || bytes > most) {
      Fail(at + 8, what + " bytes", least == most ? Text(least) : Text(least) + " to " + Text(most),
           Text(bytes));
    }
    if (bytes == 0) {
      Equal(at, what + " offset (of an empty blob)", 0, offset);
      return 0;
    }
    if (offset % kAlignment != 0) {
      Fail(at, what + " offset", "a multiple of " + Text(uint64_t{kAlignment}), Text(offset));
    }
    if (offset < blobs_begin_ || offset > size_ || bytes > size_ - offset) {
      Fail(at, what + " offset",
           Text(bytes) + " bytes between " + Text(blobs_begin_) + " and " + Text(uint64_t{size_}),
           Text(offset));
    }
    return offset;
  }

  const float* Floats(size_t at, const std::string& what, uint64_t count) const {
    const uint64_t offset = Blob(at, what, 4 * count, 4 * count);
    if (count == 0) return nullptr;
    for (uint64_t i = 0; i < count; ++i) {
      if (!IsFinite(U32(offset + 4 * i))) {
        Fail(offset + 4 * i, what, "finite numbers", "NaN or infinity");
      }
    }
    return reinterpret_cast<const float*>(bytes_ + offset);
  }

  std::shared_ptr<const AlignedArray<float>> Halves(size_t at, const std::string& what,
                                                    uint64_t count) const {
    const uint64_t offset = Blob(at, what, 2 * count, 2 * count);
    const auto wide = std::make_shared<AlignedArray<float>>(count);
    for (uint64_t i = 0; i < count; ++i) {
      const uint16_t half = U16(offset + 2 * i);
      if (!IsFiniteHalf(half)) Fail(offset + 2 * i, what, "finite numbers", "NaN or infinity");
      (*wide)[i] = Widen(half);
    }
    return wide;
  }

  // Columns as steps from one to the next. The last of so many columns places nothing.
  struct Steps {
    const uint8_t* bytes;
    uint64_t begin, end;  // In the file.
    bool nibbles;
    uint64_t next = 0;  // Number of the step.

    uint64_t place() const { return begin + (nibbles ? next / 2 : next); }
    bool done() const { return place() == end; }
    uint32_t skip() const { return nibbles ? 15 : 255; }
    uint32_t value() const {
      const uint8_t byte = bytes[place()];
      return !nibbles ? byte : next % 2 == 0 ? byte & 15 : byte >> 4;
    }
  };

  void ReadRows(size_t at, uint32_t packing, uint64_t counts, uint64_t columns,
                LayerView* layer) const {
    const uint64_t step_bytes = U64(at + kLayerColumns + 8);
    Steps steps{bytes_, columns, columns + step_bytes, (packing & kNibbleSteps) != 0};
    const bool short_counts = (packing & kShortCounts) != 0;
    const uint64_t row_columns = layer->columns();
    const uint32_t rows = layer->block_rows();
    layer->row_blocks.reserve(CeilDiv(layer->c_out, rows));
    layer->block_columns.reserve(CeilDiv(layer->nonzeros, rows));
    uint64_t nonzeros = 0;
    for (uint32_t d = 0; d < layer->c_out; d += rows) {
      const auto row = [&] { return (rows == 1 ? "row " : "block row ") + Text(d / rows); };
      const uint32_t height = std::min(rows, layer->c_out - d);
      const uint64_t count_at = counts + (short_counts ? 2 : 4) * uint64_t{d / rows};
      const uint32_t count = short_counts ? U16(count_at) : U32(count_at);
      const uint64_t room = (layer->nonzeros - nonzeros) / height;
      if (count > room) {
        Fail(count_at, rows == 1 ? "nonzeros of " + row() : "blocks of " + row(),
             "at most the remaining " + Text(room), Text(count));
      }
      uint64_t column = 0;
      uint64_t first_free = 0;  // A nonzero's column lies beyond the previous one's.
      for (uint32_t placed = 0; placed < count; ++steps.next) {
        if (steps.done()) {
          Fail(at + kLayerColumns + 8, "columns bytes",
               "steps for " + Text(uint64_t{layer->nonzeros}) + " nonzeros",
               Text(nonzeros + uint64_t{placed} * height) + " nonzeros");
        }
        const uint32_t step = steps.value();
        column += step;
        const bool places = step != steps.skip();
        // A step without a nonzero may lead to the row's end, but one with needs a column there.
        if (column >= row_columns || (places && column < first_free)) {
          Fail(steps.place(), "column of " + row(),
               Text(first_free) + " to " + Text(row_columns - 1), Text(column));
        }
        if (!places) continue;
        layer->block_columns.push_back(static_cast<uint32_t>(column));
        first_free = column + 1;
        ++placed;
      }
      nonzeros += uint64_t{count} * height;
      layer->row_blocks.push_back(count);
    }
    if (nonzeros != layer->nonzeros) {
      Fail(at + kLayerNonzeros, "nonzeros (as the rows add up)", Text(nonzeros),
           Text(uint64_t{layer->nonzeros}));
    }
    if (steps.nibbles && steps.next % 2 == 1) {
      if (steps.value() != 0)
        Fail(steps.place(), "half a byte after the last step", "0", Text(steps.value()));
      ++steps.next;
    }
    if (!steps.done()) {
      Fail(at + kLayerColumns + 8, "columns bytes", Text(steps.place() - columns),
           Text(step_bytes));
    }
  }

  void CheckGroups(size_t at, const LayerView& layer) const {
    constexpr uint32_t kMost = 2, kGroup = 4;
    const uint32_t* column = layer.block_columns.data();
    for (size_t row = 0; row < layer.row_blocks.size(); ++row) {
      const uint32_t count = layer.row_blocks[row];
      // Columns ascend, so that more than two in a group stand side by side.
      for (uint32_t k = kMost; k < count; ++k) {
        if (column[k - kMost] / kGroup != column[k] / kGroup) continue;
        Fail(at + kLayerColumns, "columns of row " + Text(uint64_t{row}),
             "at most 2 of columns 4 k to 4 k + 3 (pattern 2:4)",
             "a third, column " + Text(column[k]));
      }
      column += count;
    }
  }

  void CheckKernels(size_t at, const LayerView& layer) const {
    constexpr uint32_t kWindow = 9, kCentre = 4, kEntries = 4;
    const uint32_t* column = layer.block_columns.data();
    for (size_t row = 0; row < layer.row_blocks.size(); ++row) {
      const uint32_t* const end = column + layer.row_blocks[row];
      while (column < end) {
        const uint32_t kernel = *column / kWindow;
        uint32_t entries = 0;
        bool centre = false;
        for (; column < end && *column / kWindow == kernel; ++column) {
          ++entries;
          centre = centre || *column % kWindow == kCentre;
        }
        if (entries == kEntries && centre) continue;
        Fail(at + kLayerColumns,
             "kernel of output channel " + Text(uint64_t{row}) + " and input channel " +
                 Text(kernel),
             "4 entries with the centre, or none", Text(entries) + (centre ? "" : " without it"));
      }
    }
  }

  const uint8_t* bytes_;
  size_t size_;
  const std::string& file_;
  uint64_t blobs_begin_ = kHeaderBytes;
  std::string where_;
};

}  // namespace

const char* Name(Op op) { return kOpNames[static_cast<uint32_t>(op)]; }
const char* Name(Pattern pattern) { return kPatternNames[static_cast<uint32_t>(pattern)]; }
const char* Name(Activation activation) {
  return kActivationNames[static_cast<uint32_t>(activation)];
}

uint64_t Layer::columns() const {
  const uint64_t window = uint64_t{kernel} * kernel;
  switch (op) {
    case Op::kConvHwc:
    case Op::kConv:
      return window * c_in;
    case Op::kConv1x1:
      return c_in;
    case Op::kFullyConnected:
      return uint64_t{c_in} * height * width;
    case Op::kDepthwise:
      return window;
    case Op::kAdd:
    case Op::kGlobalAveragePool:
    case Op::kMaxPool:
    case Op::kAveragePool:
    case Op::kMultiply:
      return 0;
  }
  return 0;
}

uint64_t Layer::dense_weights() const { return c_out * columns(); }

uint32_t Layer::block_rows() const {
  return pattern == Pattern::kBlock2 ? 2 : pattern == Pattern::kBlock4 ? 4 : 1;
}

ModelView ReadModel(const uint8_t* bytes, size_t size, const std::string& file) {
  return Reader(bytes, size, file).Read();
}

}  // namespace sparsenas
