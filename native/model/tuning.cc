#include "model/tuning.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "base/aligned.h"
#include "base/build_id.h"
#include "base/error.h"
#include "model/crc32.h"
#include "model/packed.h"
#include "model/plan.h"
#include "model/step.h"

namespace sparsenas {
namespace {

// Offsets in the section.
constexpr size_t kThreads = 0, kParts = 4, kL1 = 8, kL2 = 16, kIsa = 24, kBuild = 40, kCpu = 64,
                 kHeaderBytes = 128;
constexpr size_t kIsaChars = 16, kBuildChars = 24, kCpuChars = 64;

// Offsets in a layer's record.
constexpr size_t kForm = 0, kLayerParts = 4, kByPixels = 8, kReserved = 12, kTimes = 16,
                 kRest = kTimes + 4 * kForms, kLayerBytes = 64;

// Offsets in a part's record.
constexpr size_t kBegin = 0, kEnd = 4, kNumbers = 8, kPartBytes = kNumbers + 8 * kPackedNumbers;
static_assert(kPartBytes == 192);

constexpr uint32_t kMaxThreads = 256;

// Offsets in the header of the file.
constexpr size_t kFileVersion = 4, kFileBytes = 8, kFileChecksum = 16, kFileChecksumEnd = 20,
                 kFileTuning = 44;

class Reader {
 public:
  explicit Reader(const ModelView& model) : model_(model) {}

  Tuning Read() {
    const size_t at = model_.tuning, layers = model_.layers.size();
    const uint64_t layers_at = at + kHeaderBytes, parts_at = layers_at + layers * kLayerBytes;
    if (parts_at > model_.size) {
      Fail(at, "tuning section", std::to_string(parts_at - at) + " bytes at least",
           std::to_string(model_.size - at));
    }
    Tuning tuning;
    tuning.threads = Between(at + kThreads, "threads", 1, kMaxThreads);
    tuning.l1_bytes = U64(at + kL1);
    tuning.l2_bytes = U64(at + kL2);
    tuning.isa = Chars(at + kIsa, kIsaChars, "isa");
    tuning.build = Chars(at + kBuild, kBuildChars, "build");
    tuning.cpu = Chars(at + kCpu, kCpuChars, "cpu");
    const uint64_t room = (model_.size - parts_at) / kPartBytes;
    const uint32_t parts = Between(at + kParts, "parts", 0,
                                   static_cast<uint32_t>(std::min<uint64_t>(room, UINT32_MAX)));
    uint32_t read = 0;
    for (size_t i = 0; i < layers; ++i) {
      where_ = "layer " + std::to_string(i) + " '" + model_.layers[i].name + "': ";
      const size_t layer_at = layers_at + i * kLayerBytes;
      tuning.layers.push_back(
          ReadLayer(layer_at, model_.layers[i], tuning.threads, parts_at, parts, &read));
    }
    where_.clear();
    if (read != parts)
      Fail(at + kParts, "parts", std::to_string(read) + ", as layers have", std::to_string(parts));
    return tuning;
  }

 private:
  TunedLayer ReadLayer(size_t at, const LayerView& layer, size_t threads, size_t parts_at,
                       uint32_t parts, uint32_t* read) const {
    TunedLayer tuned;
    tuned.form = static_cast<Form>(Between(at + kForm, "form", 0, kForms - 1));
    if (!Runs(layer.op, tuned.form))
      Fail(at + kForm, std::string("form of ") + Name(layer.op), "one that it has kernels for",
           Name(tuned.form));
    const bool may = SharesPixels(layer, threads) && threads > 1;
    tuned.by_pixels = Between(at + kByPixels, "by_pixels", 0, may ? 1 : 0) == 1;
    Between(at + kReserved, "reserved", 0, 0);
    for (size_t i = kRest; i < kLayerBytes; i += 4) Between(at + i, "reserved", 0, 0);
    std::memcpy(tuned.us.data(), model_.bytes + at + kTimes, sizeof tuned.us);
    for (size_t i = 0; i < kForms; ++i) {
      if (!(tuned.us[i] >= 0 && tuned.us[i] <= 1e12f))
        Fail(at + kTimes + 4 * i, "microseconds", "0 to 1e12", std::to_string(tuned.us[i]));
    }
    const uint32_t most = std::min<uint32_t>(parts - *read, static_cast<uint32_t>(threads));
    const uint32_t count = Between(at + kLayerParts, "parts", 1, tuned.by_pixels ? 1 : most);
    uint32_t next = 0;
    for (uint32_t i = 0; i < count; ++i) {
      const size_t part = parts_at + size_t{(*read)++} * kPartBytes;
      const uint32_t begin = Between(part + kBegin, "first output channel", next, next);
      const bool last = i + 1 == count;
      if (begin >= layer.c_out)
        Fail(part + kBegin, "first output channel", "less than " + std::to_string(layer.c_out),
             std::to_string(begin));
      next = Between(part + kEnd, "end of output channels", last ? layer.c_out : begin + 1,
                     layer.c_out);
      tuned.parts.push_back({{begin, next}, part + kNumbers});
    }
    return tuned;
  }

  // ASCII, with zeros after it.
  std::string Chars(size_t at, size_t size, const char* what) const {
    const char* text = reinterpret_cast<const char*>(model_.bytes) + at;
    const size_t length = static_cast<size_t>(std::find(text, text + size, '\0') - text);
    for (size_t i = 0; i < size; ++i) {
      const bool good = i < length ? text[i] >= ' ' && text[i] <= '~' : text[i] == '\0';
      if (!good)
        Fail(at + i, what, i < length ? "printable ASCII" : "zeros after the text",
             "byte " + std::to_string(static_cast<uint8_t>(text[i])));
    }
    return std::string(text, length);
  }

  uint32_t Between(size_t offset, const std::string& what, uint32_t least, uint32_t most) const {
    uint32_t found;
    std::memcpy(&found, model_.bytes + offset, sizeof found);
    if (found < least || found > most) {
      Fail(offset, what,
           least == most ? std::to_string(least)
                         : std::to_string(least) + " to " + std::to_string(most),
           std::to_string(found));
    }
    return found;
  }

  uint64_t U64(size_t offset) const {
    uint64_t number;
    std::memcpy(&number, model_.bytes + offset, sizeof number);
    return number;
  }

  [[noreturn]] void Fail(uint64_t offset, const std::string& what, const std::string& expected,
                         const std::string& found) const {
    sparsenas::Fail("Model '%s', offset %" PRIu64 ": tuning: %s%s: expected %s, found %s.",
                    model_.file.c_str(), offset, where_.c_str(), what.c_str(), expected.c_str(),
                    found.c_str());
  }

  const ModelView& model_;
  std::string where_;
};

// What fits of a name, as the file has it.
std::string Printable(std::string text, size_t chars) {
  text.resize(std::min(text.size(), chars));
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

class Writer {
 public:
  explicit Writer(std::vector<uint8_t>* bytes) : bytes_(*bytes) {}

  template <class T>
  void Put(size_t at, T number) {
    std::memcpy(bytes_.data() + at, &number, sizeof number);
  }
  void Put(size_t at, const std::string& text, size_t chars) {
    std::memcpy(bytes_.data() + at, text.data(), std::min(text.size(), chars));
  }

  // Returns where the data begins; the file ends with a whole line after it.
  uint64_t Append(const void* data, size_t size) {
    const uint64_t begin = bytes_.size();
    bytes_.resize(begin + RoundUp(size, kAlignment));
    if (size > 0) std::memcpy(bytes_.data() + begin, data, size);
    return begin;
  }

 private:
  std::vector<uint8_t>& bytes_;
};

}  // namespace

std::optional<Tuning> ReadTuning(const ModelView& model) {
  if (model.tuning == 0) return std::nullopt;
  return Reader(model).Read();
}

TuningUse UseOf(const Tuning& tuning, Isa isa, size_t threads) {
  if (tuning.isa != IsaName(isa) || tuning.cpu != Printable(CpuName(), kCpuChars))
    return TuningUse::kNothing;
  const bool same = tuning.build == BuildId() && tuning.threads == threads &&
                    tuning.l1_bytes == L1DataBytes() && tuning.l2_bytes == L2Bytes();
  return same ? TuningUse::kWeights : TuningUse::kForms;
}

std::string Describe(const Tuning& tuning, TuningUse use) {
  const std::string threads =
      std::to_string(tuning.threads) + (tuning.threads == 1 ? " thread" : " threads");
  switch (use) {
    case TuningUse::kNothing:
      return "tuned for another machine: " + tuning.cpu + ", " + tuning.isa;
    case TuningUse::kForms:
      return "tuned for this machine with another build or for " + threads +
             ": weights are packed again";
    case TuningUse::kWeights:
      return "tuned for this machine, " + threads;
  }
  return "";
}

std::string MeasuredNote(Form form, const FormTimes& us) {
  const size_t chosen = static_cast<size_t>(form);
  // Beside dense, or beside the best of the others where it is that.
  size_t other = 0;
  if (chosen == 0) {
    for (size_t i = 1; i < kForms; ++i) {
      if (us[i] > 0 && (other == 0 || us[i] < us[other])) other = i;
    }
  }
  if (other == chosen || !(us[chosen] > 0) || !(us[other] > 0)) return "";
  char note[96];
  std::snprintf(note, sizeof note, "%s: measured %.1f us, %s %.1f us", Name(form),
                double{us[chosen]}, Name(static_cast<Form>(other)), double{us[other]});
  return note;
}

std::vector<uint8_t> TunedFile(const ModelView& model, const Plan& plan,
                               const std::vector<FormTimes>& us) {
  std::vector<uint8_t> bytes(model.bytes,
                             model.bytes + (model.tuning == 0 ? model.size : model.tuning));
  bytes.resize(RoundUp(bytes.size(), kAlignment));
  const size_t at = bytes.size(), layers = plan.layers.size();
  if (uint64_t{at} / kAlignment > UINT32_MAX)
    Fail("Model '%s' is too large to be tuned: expected at most 256 GiB.", model.file.c_str());
  size_t parts = 0;
  for (const PlannedLayer& layer : plan.layers) parts += layer.packed.size();
  const size_t layers_at = at + kHeaderBytes, parts_at = layers_at + layers * kLayerBytes;
  bytes.resize(parts_at + parts * kPartBytes);

  Writer to(&bytes);
  to.Put(at + kThreads, static_cast<uint32_t>(plan.threads));
  to.Put(at + kParts, static_cast<uint32_t>(parts));
  to.Put(at + kL1, uint64_t{L1DataBytes()});
  to.Put(at + kL2, uint64_t{L2Bytes()});
  to.Put(at + kIsa, IsaName(plan.isa), kIsaChars);
  to.Put(at + kBuild, BuildId(), kBuildChars);
  to.Put(at + kCpu, Printable(CpuName(), kCpuChars), kCpuChars);
  size_t part_at = parts_at;
  for (size_t i = 0; i < layers; ++i) {
    const PlannedLayer& layer = plan.layers[i];
    const size_t layer_at = layers_at + i * kLayerBytes;
    // Operators without weights have parts too, whose numbers are all 0.
    to.Put(layer_at + kForm, static_cast<uint32_t>(layer.form));
    to.Put(layer_at + kLayerParts, static_cast<uint32_t>(layer.packed.size()));
    to.Put(layer_at + kByPixels, uint32_t{layer.by_pixels});
    to.Put(layer_at + kTimes, us[i]);
    for (size_t k = 0; k < layer.packed.size(); ++k, part_at += kPartBytes) {
      to.Put(part_at + kBegin, static_cast<uint32_t>(layer.parts[k].begin));
      to.Put(part_at + kEnd, static_cast<uint32_t>(layer.parts[k].end));
      size_t number_at = part_at + kNumbers;
      const auto put = [&](uint64_t number) {
        to.Put(number_at, number);
        number_at += sizeof number;
      };
      for (const PackedField& field : layer.packed[k]) {
        if (field.data != nullptr) put(to.Append(field.data, field.bytes));
        put(field.number);
      }
    }
  }
  to.Put(kFileVersion, kFormatVersion);
  to.Put(kFileBytes, uint64_t{bytes.size()});
  to.Put(kFileTuning, static_cast<uint32_t>(at / kAlignment));
  to.Put(kFileChecksum, Crc32(bytes.data() + kFileChecksumEnd, bytes.size() - kFileChecksumEnd));
  return bytes;
}

}  // namespace sparsenas
