// Tests of the model: what is damaged is refused with one line and never crashes the reader, what
// is sound gives the outputs it always gave, with any number of threads, and buffers that live at
// the same time lie apart.
//
// Usage: sparsenas_model_test GOLDEN_FILE IMAGE.f32 OUTPUTS.f32
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/aligned.h"
#include "base/arch.h"
#include "kernels/tensor.h"
#include "model/arena.h"
#include "model/crc32.h"
#include "model/format.h"
#include "model/mapped_file.h"
#include "model/model.h"
#include "model/plan.h"

namespace {

using namespace sparsenas;

int failures = 0;

void Check(bool ok, const std::string& what) {
  if (ok) return;
  std::fprintf(stderr, "FAILED: %s\n", what.c_str());
  ++failures;
}

// Returns the error of a file with these bytes, or "" where there is none.
//
// The bytes lie at the end of an allocation of their exact size, so that a sanitizer sees a read
// past them.
std::string ErrorOf(const std::vector<uint8_t>& bytes) {
  void* copy = nullptr;
  if (posix_memalign(&copy, 64, bytes.size()) != 0) std::abort();
  if (!bytes.empty()) std::memcpy(copy, bytes.data(), bytes.size());
  std::string error;
  try {
    ReadModel(static_cast<const uint8_t*>(copy), bytes.size(), "test.snas");
  } catch (const std::invalid_argument& e) {
    error = e.what();
  }
  std::free(copy);
  return error;
}

void SetChecksum(std::vector<uint8_t>* bytes) {
  const uint32_t checksum = Crc32(bytes->data() + 20, bytes->size() - 20);
  std::memcpy(bytes->data() + 16, &checksum, sizeof checksum);
}

void CheckMentions(const std::string& error, const std::string& part) {
  Check(error.find(part) != std::string::npos, "'" + error + "' mentions '" + part + "'");
}

void TestCrc32() {
  const std::string text = "123456789";  // The check value that catalogues of CRCs give.
  Check(Crc32(reinterpret_cast<const uint8_t*>(text.data()), text.size()) == 0xcbf43926u, "crc32");
}

std::vector<float> ReadFloats(const char* path) {
  const MappedFile file(path);
  std::vector<float> floats(file.size() / sizeof(float));
  std::memcpy(floats.data(), file.bytes(), floats.size() * sizeof(float));
  return floats;
}

void TestGoldenFile(const std::vector<uint8_t>& golden, const std::vector<float>& image,
                    const std::vector<float>& expected) {
  Check(ErrorOf(golden).empty(), "golden file is read: " + ErrorOf(golden));
  for (const Isa isa : MachineIsas()) {
    Model model = Model::FromBytes(golden.data(), golden.size(), "test.snas", isa);
    Check(model.plan().image_floats() == image.size(), "size of the image");
    Check(model.plan().outputs == expected.size(), "number of outputs");
    std::vector<float> outputs(model.plan().outputs);
    for (int run = 0; run < 2; ++run) {
      model.Run(image.data(), outputs.data());
      for (size_t i = 0; i < outputs.size(); ++i) {
        // Some 300 terms in float32, of size 1.
        Check(std::fabs(outputs[i] - expected[i]) < 1e-5f,
              "output " + std::to_string(i) + " with " + IsaName(isa));
      }
    }
  }
}

// A model of one convolution, with the arrays that it looks into.
struct OneConvolution {
  std::vector<float> weight, bias;
  ModelView view;

  OneConvolution(Op op, Pattern pattern, uint32_t kernel, uint32_t stride, uint32_t height,
                 uint32_t width) {
    LayerView layer{};
    layer.name = "layer";
    layer.op = op;
    layer.pattern = pattern;
    layer.activation = Activation::kRelu;
    layer.inputs = {kImage};
    layer.c_in = op == Op::kConv ? 60 : 180;
    layer.c_out = 43;
    layer.height = height;
    layer.width = width;
    layer.out_height = static_cast<uint32_t>(OutSide(height, stride));
    layer.out_width = static_cast<uint32_t>(OutSide(width, stride));
    layer.kernel = kernel;
    layer.stride = stride;
    std::mt19937 random(height * width);
    std::normal_distribution<float> normal;
    for (uint32_t d = 0; d < layer.c_out; ++d) {
      bias.push_back(normal(random));
      const size_t before = weight.size();
      for (uint32_t j = 0; j < layer.columns(); ++j) {
        // Of a 3x3 kernel two taps side by side; in blocks, rows have the same columns.
        if (pattern == Pattern::kKernel ? j / 9 % 4 != 0 || j % 9 % 5 > 1
                                        : pattern != Pattern::kDense && j % 6 != d / 4 % 6)
          continue;
        weight.push_back(normal(random));
        if (pattern != Pattern::kDense && d % layer.block_rows() == 0)
          layer.block_columns.push_back(j);
      }
      if (pattern != Pattern::kDense && d % layer.block_rows() == 0)
        layer.row_blocks.push_back(static_cast<uint32_t>(weight.size() - before));
    }
    layer.nonzeros = weight.size();
    layer.weight = weight.data();
    layer.bias = bias.data();
    view = {"test.snas", height, width, layer.c_in, InputLayout::kChw, {layer}, {}};
  }

  // The output planes; `threads` parts run one after the other, the last one first.
  std::vector<float> Run(Isa isa, size_t threads) const {
    const Plan plan = MakePlan(view, isa, threads);
    AlignedArray<float> arena(plan.arena_floats);
    std::fill(arena.data(), arena.data() + arena.size(), std::nanf(""));
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (size_t c = 0; c < plan.input.channels; ++c) {
      float* in = arena.data() + plan.input.offset + c * plan.input.stride;
      std::generate(in, in + plan.input.pixels(), [&] { return normal(random); });
    }
    const std::vector<Plan::Part>& parts = plan.steps[0].parts;
    Check(threads == 1 || parts.size() > 1, "threads share the layer");
    for (size_t i = parts.size(); i-- > 0;) parts[i](nullptr, arena.data());
    std::vector<float> out;
    for (size_t c = 0; c < plan.output.channels; ++c) {
      const float* plane = arena.data() + plan.output.offset + c * plan.output.stride;
      out.insert(out.end(), plane, plane + plan.output.pixels());
    }
    return out;
  }
};

void TestThreadsShareALayerAndChangeNothing() {
  struct Case {
    Op op;
    Pattern pattern;
    uint32_t kernel;
  };
  for (const auto& [op, pattern, kernel] :
       {Case{Op::kConv1x1, Pattern::kDense, 1}, Case{Op::kConv1x1, Pattern::kUnstructured, 1},
        Case{Op::kConv1x1, Pattern::kBlock4, 1}, Case{Op::kConv, Pattern::kDense, 3},
        Case{Op::kConv, Pattern::kUnstructured, 3}, Case{Op::kConv, Pattern::kKernel, 3}}) {
    // Around 256 pixels for each of two or three threads, where they begin to share pixels.
    for (const auto& [height, width] :
         std::vector<std::pair<uint32_t, uint32_t>>{{28, 28}, {17, 30}, {59, 13}}) {
      for (const uint32_t stride : {1u, 2u}) {
        if (op == Op::kConv1x1 && stride == 2) continue;
        const uint32_t larger = op == Op::kConv ? stride : 1;
        const OneConvolution convolution(op, pattern, kernel, stride, height * larger,
                                         width * larger);
        for (const Isa isa : MachineIsas()) {
          const std::vector<float> alone = convolution.Run(isa, 1);
          for (const size_t threads : {2, 3}) {
            const std::vector<float> shared = convolution.Run(isa, threads);
            float most = 0;
            for (size_t i = 0; i < alone.size(); ++i) {
              const float difference = std::fabs(shared[i] - alone[i]);
              most = difference <= most ? most : difference;  // NaN stays.
            }
            // Sums of up to 540 products of size 1, in another order.
            Check(most < 1e-3f, std::string(IsaName(isa)) + ", " + std::to_string(height) + "x" +
                                    std::to_string(width) + ", op " +
                                    std::to_string(static_cast<int>(op)) + ", pattern " +
                                    std::to_string(static_cast<int>(pattern)) + ", stride " +
                                    std::to_string(stride) + ", " + std::to_string(threads) +
                                    " threads differ by " + std::to_string(most));
          }
        }
      }
    }
  }
}

void TestBuffersThatLiveTogetherLieApart() {
  // Steps 0 to 4 in a chain, a long-lived buffer, and one of another size.
  const std::vector<Buffer> buffers = {{32, 0, 1}, {32, 1, 2}, {32, 2, 3}, {32, 3, 4},
                                       {64, 0, 4}, {16, 2, 2}, {48, 4, 4}};
  const Arena arena = PlaceBuffers(buffers);
  size_t end = 0;
  for (size_t i = 0; i < buffers.size(); ++i) {
    end = std::max(end, arena.offsets[i] + buffers[i].floats);
    for (size_t j = 0; j < i; ++j) {
      const bool together = buffers[i].first_step <= buffers[j].last_step &&
                            buffers[j].first_step <= buffers[i].last_step;
      const bool apart = arena.offsets[i] + buffers[i].floats <= arena.offsets[j] ||
                         arena.offsets[j] + buffers[j].floats <= arena.offsets[i];
      Check(!together || apart, "buffers " + std::to_string(i) + " and " + std::to_string(j));
    }
  }
  Check(arena.floats == end, "arena ends with its last buffer");
  Check(arena.floats <= 64 + 2 * 48 + 16, "buffers of a chain take turns");
}

void TestEveryTruncationIsAnError(const std::vector<uint8_t>& golden) {
  for (size_t size = 0; size < golden.size(); ++size) {
    const std::vector<uint8_t> bytes(golden.begin(), golden.begin() + size);
    CheckMentions(ErrorOf(bytes), "Model 'test.snas', offset ");
  }
}

void TestEveryFlipIsAnError(std::vector<uint8_t> bytes) {
  for (uint8_t& byte : bytes) {
    for (const uint8_t mask : {0x01, 0x80, 0xff}) {
      byte ^= mask;
      CheckMentions(ErrorOf(bytes), "Model 'test.snas', offset ");
      byte ^= mask;
    }
  }
}

// A file that somebody forged has a checksum that fits: the other checks must hold alone.
void TestFlipsUnderAFittingChecksumNeverCrash(std::vector<uint8_t> bytes) {
  for (size_t i = 20; i < bytes.size(); ++i) {
    for (const uint8_t mask : {0x01, 0x02, 0x40, 0x80, 0xff}) {
      bytes[i] ^= mask;
      SetChecksum(&bytes);
      ErrorOf(bytes);
      bytes[i] ^= mask;
    }
  }
}

void TestNewerVersionNamesBoth(std::vector<uint8_t> bytes) {
  bytes[4] = 7;
  const std::string error = ErrorOf(bytes);
  CheckMentions(error, "offset 4");
  CheckMentions(error, "expected at most 1");
  CheckMentions(error, "found 7");
}

struct Change {
  const char* what;  // That the error mentions.
  size_t offset;     // In the first layer's record.
  uint32_t number;
};

// Records of the golden file's first layer, a conv_hwc 3 -> 8 on 9 x 7 pixels.
void TestRangesOfALayer(const std::vector<uint8_t>& golden) {
  const Change changes[] = {
      {"op", 0, 10},
      {"pattern", 4, 6},
      {"pattern of conv_hwc: expected 0 (dense), found 3 (block4)", 4, 3},
      {"activation", 8, 7},
      {"input_count", 12, 2},
      {"input", 16, 0},
      {"input", 16, 0xfffffffe},
      {"unused input", 20, 0},
      {"c_in", 24, 4},
      {"c_out", 28, 0},
      {"height", 32, 10},
      {"width", 36, 0},
      {"kernel", 40, 2},
      {"kernel", 40, 0},
      {"stride", 44, 0},
      {"nonzeros", 48, 1},
      {"weight offset", 56, 4},
      {"weight offset", 60, 1},
      {"weight bytes", 64, 4},
      {"bias bytes", 80, 0},
      {"counts bytes", 96, 4},
      {"columns offset", 104, 64},
      {"reserved", 120, 1},
  };
  for (const Change& change : changes) {
    std::vector<uint8_t> bytes = golden;
    std::memcpy(bytes.data() + 64 + change.offset, &change.number, sizeof change.number);
    SetChecksum(&bytes);
    CheckMentions(ErrorOf(bytes), change.what);
  }
}

void TestHeaderCounts(const std::vector<uint8_t>& golden) {
  const Change changes[] = {
      {"layer_count", 36, 0},    {"layer_count", 36, 60000},        {"class_count", 40, 1u << 30},
      {"strings_offset", 48, 0}, {"strings_bytes", 56, 0xffffffff}, {"input_layout", 20, 2}};
  for (const Change& change : changes) {
    std::vector<uint8_t> bytes = golden;
    std::memcpy(bytes.data() + change.offset, &change.number, sizeof change.number);
    SetChecksum(&bytes);
    CheckMentions(ErrorOf(bytes), change.what);
  }
}

void TestWeightsAreFinite(std::vector<uint8_t> bytes) {
  uint64_t weight;
  std::memcpy(&weight, bytes.data() + 64 + 56, sizeof weight);
  const uint32_t nan = 0x7fc00000;
  std::memcpy(bytes.data() + weight + 8, &nan, sizeof nan);
  SetChecksum(&bytes);
  const std::string error = ErrorOf(bytes);
  CheckMentions(error, "offset " + std::to_string(weight + 8));
  CheckMentions(error, "finite");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "Usage: %s GOLDEN_FILE IMAGE.f32 OUTPUTS.f32\n", argv[0]);
    return 2;
  }
  const MappedFile file(argv[1]);
  const std::vector<uint8_t> golden(file.bytes(), file.bytes() + file.size());
  TestCrc32();
  TestGoldenFile(golden, ReadFloats(argv[2]), ReadFloats(argv[3]));
  TestBuffersThatLiveTogetherLieApart();
  TestThreadsShareALayerAndChangeNothing();
  TestEveryTruncationIsAnError(golden);
  TestEveryFlipIsAnError(golden);
  TestFlipsUnderAFittingChecksumNeverCrash(golden);
  TestNewerVersionNamesBoth(golden);
  TestRangesOfALayer(golden);
  TestHeaderCounts(golden);
  TestWeightsAreFinite(golden);
  if (failures == 0) std::printf("ok\n");
  return failures == 0 ? 0 : 1;
}
