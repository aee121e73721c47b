// Tests of the model: what is damaged is refused with one line and never crashes the reader, what
// is sound gives the outputs it always gave, and buffers that live at the same time lie apart.
//
// Usage: sparsenas_model_test GOLDEN_FILE IMAGE.f32 OUTPUTS.f32
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/arch.h"
#include "model/arena.h"
#include "model/crc32.h"
#include "model/format.h"
#include "model/half.h"
#include "model/mapped_file.h"
#include "model/model.h"
#include "testing/check.h"

namespace {

using namespace sparsenas;

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
  Expect(error.find(part) != std::string::npos, "'" + error + "' mentions '" + part + "'");
}

void TestCrc32() {
  const std::string text = "123456789";  // The check value that catalogues of CRCs give.
  Expect(Crc32(reinterpret_cast<const uint8_t*>(text.data()), text.size()) == 0xcbf43926u, "crc32");
}

std::vector<float> ReadFloats(const char* path) {
  const MappedFile file(path);
  std::vector<float> floats(file.size() / sizeof(float));
  std::memcpy(floats.data(), file.bytes(), floats.size() * sizeof(float));
  return floats;
}

void TestGoldenFile(const std::vector<uint8_t>& golden, const std::vector<float>& image,
                    const std::vector<float>& expected) {
  Expect(ErrorOf(golden).empty(), "golden file is read: " + ErrorOf(golden));
  for (const Isa isa : MachineIsas()) {
    Model model = Model::FromBytes(golden.data(), golden.size(), "test.snas", isa);
    Expect(model.plan().image_floats() == image.size(), "size of the image");
    Expect(model.plan().outputs == expected.size(), "number of outputs");
    std::vector<float> outputs(model.plan().outputs);
    for (int run = 0; run < 2; ++run) {
      model.Run(image.data(), outputs.data());
      for (size_t i = 0; i < outputs.size(); ++i) {
        // Some 300 terms in float32, of size 1.
        Expect(std::fabs(outputs[i] - expected[i]) < 1e-5f,
               "output " + std::to_string(i) + " with " + IsaName(isa));
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
      Expect(!together || apart, "buffers " + std::to_string(i) + " and " + std::to_string(j));
    }
  }
  Expect(arena.floats == end, "arena ends with its last buffer");
  Expect(arena.floats <= 64 + 2 * 48 + 16, "buffers of a chain take turns");
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
  bytes[4] = 4;
  const std::string error = ErrorOf(bytes);
  CheckMentions(error, "offset 4");
  CheckMentions(error, "expected at most 3");
  CheckMentions(error, "found 4");
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
      {"padding", 120, 2},
      {"packing: expected no bits but those of 0, found 1", 124, 1},
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

// Rounds to the nearest half, away from 0 where two are as near; small enough not to overflow.
uint16_t Halved(float number) {
  const float magnitude = std::fabs(number);
  const uint16_t sign = std::signbit(number) ? 0x8000 : 0;
  if (magnitude < 0x1p-14f)
    return static_cast<uint16_t>(sign + std::lround(std::ldexp(magnitude, 24)));
  int exponent;
  const float fraction = std::frexp(magnitude, &exponent);  // 0.5 to 1
  return static_cast<uint16_t>(sign + 1024 * (exponent + 13) +
                               std::lround(std::ldexp(fraction, 11)));
}

void TestWideningIsExact() {
  const struct {
    uint16_t half;
    float wide;
  } cases[] = {{0x0000, 0.0f},     {0x0001, 0x1p-24f}, {0x03ff, 1023 * 0x1p-24f},
               {0x0400, 0x1p-14f}, {0x3c00, 1.0f},     {0x3555, 1365 * 0x1p-12f},
               {0xc000, -2.0f},    {0x7bff, 65504.0f}, {0x8001, -0x1p-24f}};
  for (const auto& one : cases)
    Expect(Widen(one.half) == one.wide, "half " + std::to_string(one.half));
  Expect(std::signbit(Widen(0x8000)), "minus 0 stays");
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const uint16_t half = static_cast<uint16_t>(bits);
    Expect(IsFiniteHalf(half) == ((half & 0x7fff) < 0x7c00), "finite");
    if (IsFiniteHalf(half)) Expect(Halved(Widen(half)) == half, "half " + std::to_string(bits));
  }
}

// The golden file with every weight as a half, where the float was.
std::vector<uint8_t> HalfFile(std::vector<uint8_t> bytes) {
  const auto u64 = [&](size_t at) {
    uint64_t number;
    std::memcpy(&number, bytes.data() + at, sizeof number);
    return number;
  };
  uint32_t layers;
  std::memcpy(&layers, bytes.data() + 36, sizeof layers);
  for (uint32_t i = 0; i < layers; ++i) {
    const size_t record = 64 + 128 * size_t{i};
    if (u64(record + 56) == 0) continue;
    bytes[record + 124] = 1;
    for (const size_t blob : {56, 72}) {
      const uint64_t offset = u64(record + blob), halves = u64(record + blob + 8) / 2;
      for (uint64_t k = 0; k < halves / 2; ++k) {
        float number;
        std::memcpy(&number, bytes.data() + offset + 4 * k, sizeof number);
        const uint16_t half = Halved(number);
        std::memcpy(bytes.data() + offset + 2 * k, &half, sizeof half);
      }
      std::memcpy(bytes.data() + record + blob + 8, &halves, sizeof halves);
    }
  }
  bytes[4] = 3;
  SetChecksum(&bytes);
  return bytes;
}

void TestHalfFile(const std::vector<uint8_t>& golden, const std::vector<float>& image,
                  const std::vector<float>& expected) {
  std::vector<uint8_t> bytes = HalfFile(golden);
  Expect(ErrorOf(bytes).empty(), "halves are read: " + ErrorOf(bytes));
  for (const Isa isa : MachineIsas()) {
    Model model = Model::FromBytes(bytes.data(), bytes.size(), "test.snas", isa);
    std::vector<float> outputs(model.plan().outputs);
    model.Run(image.data(), outputs.data());
    // 2^-11 of each weight, through 14 layers with weights.
    for (size_t i = 0; i < outputs.size(); ++i) {
      Expect(std::fabs(outputs[i] - expected[i]) < 0.01f * std::fabs(expected[i]) + 0.01f,
             "output " + std::to_string(i) + " of halves with " + IsaName(isa));
    }
  }
  TestFlipsUnderAFittingChecksumNeverCrash(bytes);
  uint64_t weight;
  std::memcpy(&weight, bytes.data() + 64 + 56, sizeof weight);
  std::vector<uint8_t> bad = bytes;
  bad[weight + 3] = 0x7c;
  bad[weight + 2] = 0;
  SetChecksum(&bad);
  CheckMentions(ErrorOf(bad), "offset " + std::to_string(weight + 2) + ": layer 0");
  CheckMentions(ErrorOf(bad), "weight: expected finite numbers, found NaN or infinity");
  // Layer 0 is dense, layer 4 adds and has no weights.
  const struct {
    size_t layer;
    uint8_t packing, allowed;
  } refused[] = {{0, 3, 1}, {0, 8, 1}, {4, 1, 0}};
  for (const auto& [layer, packing, allowed] : refused) {
    bad = bytes;
    bad[64 + 128 * layer + 124] = packing;
    SetChecksum(&bad);
    CheckMentions(ErrorOf(bad), "packing: expected no bits but those of " +
                                    std::to_string(allowed) + ", found " + std::to_string(packing));
  }
  bad = bytes;
  bad[4] = 2;
  SetChecksum(&bad);
  CheckMentions(ErrorOf(bad), "offset 44: tuning_offset");
  bad[4] = 1;
  SetChecksum(&bad);
  CheckMentions(ErrorOf(bad), "packing: expected no bits but those of 0, found 1");
}

// Squeeze-and-excitation as a network has it: the channels of an image, each times a number that
// two fully connected layers make of the means of all channels.
struct SqueezeExcite {
  uint32_t channels, squeezed, height, width;
  Activation activation, gate;
  std::vector<float> reduce, reduce_bias, excite, excite_bias;  // [R, C], [R], [C, R], [C]

  std::vector<uint8_t> Bytes() const {
    std::vector<uint8_t> bytes(64 + 4 * 128);
    const auto put = [&](size_t offset, auto number) {
      std::memcpy(bytes.data() + offset, &number, sizeof number);
    };
    // Returns where the data begins.
    const auto append = [&](const void* data, size_t size) {
      bytes.resize((bytes.size() + 63) / 64 * 64);
      const uint64_t begin = bytes.size();
      bytes.resize(begin + size);
      std::memcpy(bytes.data() + begin, data, size);
      return begin;
    };
    const auto layer = [&](size_t i, Op op, Activation done, int32_t first, int32_t second,
                           uint32_t c_in, uint32_t c_out, bool planes) {
      const size_t at = 64 + 128 * i;
      put(at, op);
      put(at + 8, static_cast<uint32_t>(done));
      put(at + 12, second == -2 ? 1u : 2u);
      put(at + 16, first);
      put(at + 20, second);
      put(at + 24, c_in);
      put(at + 28, c_out);
      put(at + 32, planes ? height : 1u);
      put(at + 36, planes ? width : 1u);
      put(at + 40, 1u);  // Kernel and stride.
      put(at + 44, 1u);
    };
    const auto weights = [&](size_t i, const std::vector<float>& weight,
                             const std::vector<float>& bias) {
      const size_t at = 64 + 128 * i;
      put(at + 48, uint64_t{weight.size()});
      put(at + 56, append(weight.data(), 4 * weight.size()));
      put(at + 64, uint64_t{4 * weight.size()});
      put(at + 72, append(bias.data(), 4 * bias.size()));
      put(at + 80, uint64_t{4 * bias.size()});
    };
    layer(0, Op::kGlobalAveragePool, Activation::kNone, kImage, -2, channels, channels, true);
    layer(1, Op::kFullyConnected, activation, 0, -2, channels, squeezed, false);
    layer(2, Op::kFullyConnected, gate, 1, -2, squeezed, channels, false);
    layer(3, Op::kMultiply, Activation::kNone, kImage, 2, channels, channels, true);
    weights(1, reduce, reduce_bias);
    weights(2, excite, excite_bias);
    const uint8_t strings[] = {1, 0, 0, 0, 'a', 1, 0, 0, 0, 'b', 1, 0, 0, 0, 'c', 1, 0, 0, 0, 'd'};
    put(48, append(strings, sizeof strings));
    put(56, uint64_t{sizeof strings});
    std::memcpy(bytes.data(), "SNAS", 4);
    put(4, 1u);  // Of a file without a tuning section.
    put(20, InputLayout::kChw);
    put(24, height);
    put(28, width);
    put(32, channels);
    put(36, 4u);
    put(8, uint64_t{bytes.size()});
    SetChecksum(&bytes);
    return bytes;
  }

  // The number of each channel.
  std::vector<double> Gates(const std::vector<float>& image) const {
    const size_t pixels = size_t{height} * width;
    std::vector<double> hidden(reduce_bias.begin(), reduce_bias.end());
    for (uint32_t c = 0; c < channels; ++c) {
      double mean = 0;
      for (size_t p = 0; p < pixels; ++p) mean += double{image[c * pixels + p]} / double(pixels);
      for (uint32_t r = 0; r < squeezed; ++r) hidden[r] += double{reduce[r * channels + c]} * mean;
    }
    std::vector<double> gates(excite_bias.begin(), excite_bias.end());
    for (uint32_t c = 0; c < channels; ++c) {
      for (uint32_t r = 0; r < squeezed; ++r)
        gates[c] += double{excite[c * squeezed + r]} * Activate(hidden[r], activation);
      gates[c] = Activate(gates[c], gate);
    }
    return gates;
  }
};

void TestSqueezeExciteIsItsFormula() {
  struct Shape {
    uint32_t channels, squeezed, height, width;
  };
  Random random(1);
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{17, 3, 5, 3}, Shape{72, 24, 28, 28},
                             Shape{480, 120, 14, 14}, Shape{1152, 48, 7, 7}}) {
    for (const Activation activation : {Activation::kRelu, Activation::kSwish}) {
      for (const Activation gate : {Activation::kSigmoid, Activation::kHardSigmoid}) {
        const auto [c, r, h, w] = shape;
        SqueezeExcite block = {c,
                               r,
                               h,
                               w,
                               activation,
                               gate,
                               RandomFloats(r * c, random),
                               RandomFloats(r, random),
                               RandomFloats(c * r, random),
                               RandomFloats(c, random)};
        // So that what the activations take is of size 1.
        for (float& weight : block.reduce) weight *= std::sqrt(float(h * w) / float(c));
        for (float& weight : block.excite) weight /= std::sqrt(float(r));
        const std::vector<float> image = RandomFloats(size_t{c} * h * w, random);
        const std::vector<uint8_t> bytes = block.Bytes();
        const std::vector<double> gates = block.Gates(image);
        for (const Isa isa : MachineIsas()) {
          Model model = Model::FromBytes(bytes.data(), bytes.size(), "test.snas", isa);
          std::vector<float> outputs(model.plan().outputs);
          Expect(outputs.size() == image.size(), "number of outputs");
          model.Run(image.data(), outputs.data());
          // Up to 1152 terms in float32, which add up to a number of size 1.
          double worst = 0;
          for (size_t i = 0; i < image.size(); ++i)
            worst = std::max(worst, std::fabs(outputs[i] - image[i] * gates[i / (h * w)]));
          Expect(worst < 1e-5, std::to_string(c) + " channels with " + IsaName(isa) +
                                   " are off by " + std::to_string(worst));
        }
      }
    }
  }
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
  TestWideningIsExact();
  TestHalfFile(golden, ReadFloats(argv[2]), ReadFloats(argv[3]));
  TestSqueezeExciteIsItsFormula();
  TestBuffersThatLiveTogetherLieApart();
  TestEveryTruncationIsAnError(golden);
  TestEveryFlipIsAnError(golden);
  TestFlipsUnderAFittingChecksumNeverCrash(golden);
  TestNewerVersionNamesBoth(golden);
  TestRangesOfALayer(golden);
  TestHeaderCounts(golden);
  TestWeightsAreFinite(golden);
  return Report();
}
