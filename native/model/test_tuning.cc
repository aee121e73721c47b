// Tests of tuned model files: they compute what the model computes, say what became of them on
// another machine, and forged ones are refused with one line or run without harm.
//
// Usage: sparsenas_model_tuning_test GOLDEN_FILE GOLDEN_TUNED_FILE IMAGE.f32 OUTPUTS.f32
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/arch.h"
#include "model/crc32.h"
#include "model/format.h"
#include "model/mapped_file.h"
#include "model/model.h"
#include "model/step.h"
#include "model/tune.h"
#include "model/tuning.h"
#include "testing/check.h"

namespace {

using namespace sparsenas;

using Bytes = std::vector<uint8_t>;

Bytes ReadBytes(const char* path) {
  const MappedFile file(path);
  return Bytes(file.bytes(), file.bytes() + file.size());
}

std::vector<float> ReadFloats(const char* path) {
  const Bytes bytes = ReadBytes(path);
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), floats.size() * sizeof(float));
  return floats;
}

// Puts size and checksum right.
void Seal(Bytes* bytes) {
  const uint64_t size = bytes->size();
  std::memcpy(bytes->data() + 8, &size, sizeof size);
  const uint32_t checksum = Crc32(bytes->data() + 20, bytes->size() - 20);
  std::memcpy(bytes->data() + 16, &checksum, sizeof checksum);
}

size_t SectionOf(const Bytes& bytes) {
  uint32_t lines;
  std::memcpy(&lines, bytes.data() + 44, sizeof lines);
  return size_t{lines} * 64;
}

struct Golden {
  Bytes bytes, tuned;
  std::vector<float> image, outputs;
};

Model Load(const Bytes& bytes, Isa isa, size_t threads = 1) {
  return Model::FromBytes(bytes.data(), bytes.size(), "test.snas", isa, threads);
}

void ExpectComputes(const Bytes& bytes, const Golden& golden, Isa isa, size_t threads,
                    const char* tuning) {
  Model model = Load(bytes, isa, threads);
  Expect(model.plan().tuning.find(tuning) != std::string::npos, "'%s' says '%s'",
         model.plan().tuning.c_str(), tuning);
  std::vector<float> outputs(model.plan().outputs);
  Expect(outputs.size() == golden.outputs.size(), "number of outputs");
  model.Run(golden.image.data(), outputs.data());
  for (size_t i = 0; i < outputs.size(); ++i) {
    // Some 300 terms in float32, of size 1.
    Expect(std::fabs(outputs[i] - golden.outputs[i]) < 1e-5f, "output %zu with %s: %g, not %g", i,
           IsaName(isa), double{outputs[i]}, double{golden.outputs[i]});
  }
}

// The golden model with form number `k` of those that each layer's zeros allow, as if it had been
// found the fastest.
Bytes WithForms(const Bytes& bytes, Isa isa, size_t threads, size_t k) {
  AlignedArray<uint8_t> copy(bytes.size());
  std::memcpy(copy.data(), bytes.data(), bytes.size());
  const ModelView model = ReadModel(copy.data(), bytes.size(), "test.snas");
  std::vector<Decision> decisions;
  for (const LayerView& layer : model.layers) {
    const bool mixes = Runs(layer.op, Form::kUnstructured);
    const auto weights = mixes ? std::make_shared<const WeightRows>(layer) : nullptr;
    std::vector<Form> forms;
    for (uint32_t i = 0; i < kForms; ++i) {
      const Form form = static_cast<Form>(i);
      if (form == Form::kDense || (Runs(layer.op, form) && ZerosAllow(layer, *weights, form)))
        forms.push_back(form);
    }
    decisions.push_back(DecideAs(layer, {forms[k % forms.size()], ""}, weights, threads));
  }
  const Plan plan = MakePlan(model, isa, threads, decisions);
  return TunedFile(model, plan, std::vector<FormTimes>(model.layers.size()));
}

void TestEveryFormIsMapped(const Golden& golden) {
  for (const Isa isa : MachineIsas()) {
    for (const size_t threads : {1, 2}) {
      for (size_t k = 0; k < 4; ++k)
        ExpectComputes(WithForms(golden.bytes, isa, threads, k), golden, isa, threads,
                       threads == 1 ? "tuned for this machine, 1 thread"
                                    : "tuned for this machine, 2 threads");
    }
  }
}

void TestOtherThreadsPackAgain(const Golden& golden) {
  for (size_t k = 0; k < 4; ++k) {
    const Bytes bytes = WithForms(golden.bytes, DefaultIsa(), 1, k);
    ExpectComputes(bytes, golden, DefaultIsa(), 2, "weights are packed again");
    const Model tuned = Load(bytes, DefaultIsa(), 1), again = Load(bytes, DefaultIsa(), 2);
    Expect(tuned.plan().uses_file && !again.plan().uses_file, "only the first uses the file");
    for (size_t i = 0; i < tuned.plan().layers.size(); ++i) {
      Expect(tuned.plan().layers[i].form == again.plan().layers[i].form, "form of layer %zu", i);
    }
  }
}

void TestFilesOfOtherMachinesAreIgnored(const Golden& golden) {
  // Written once, by a build that is no more, on a machine that never was.
  ExpectComputes(golden.tuned, golden, Isa::kScalar, 1,
                 "tuned for another machine: a machine of paper, scalar");
  ExpectComputes(golden.tuned, golden, DefaultIsa(), 1, "tuned for another machine");
  // The same on this machine: its forms serve, its weights do not.
  Bytes bytes = golden.tuned;
  const size_t cpu = SectionOf(bytes) + 64;
  std::fill_n(bytes.data() + cpu, 64, uint8_t{0});
  const std::string name = CpuName();
  std::copy_n(name.data(), std::min<size_t>(name.size(), 64), bytes.data() + cpu);
  Seal(&bytes);
  ExpectComputes(bytes, golden, Isa::kScalar, 1, "weights are packed again");
  Expect(Load(bytes, Isa::kScalar).plan().layers[1].form == Form::kUnstructured,
         "the form in the file");
}

void TestTuningReplacesASection(const Golden& golden) {
  const Bytes once = WithForms(golden.bytes, DefaultIsa(), 1, 0);
  const Bytes twice = WithForms(once, DefaultIsa(), 1, 0);
  Expect(once == twice, "the same file, with one section");
}

void TestTheTrialPicksAFormThatItTried(const char* path) {
  size_t told = 0, layers = 0;
  const Tuned tuned = Tune(path, DefaultIsa(), 1, [&](size_t done, size_t all) {
    Expect(done == told++, "progress in steps of one");
    layers = all;
  });
  Expect(told == layers + 1 && layers == tuned.plan.layers.size(), "progress to the end");
  size_t tried = 0;
  for (size_t i = 0; i < layers; ++i) {
    const PlannedLayer& layer = tuned.plan.layers[i];
    const FormTimes& us = tuned.us[i];
    const bool any = std::any_of(us.begin(), us.end(), [](float time) { return time > 0; });
    tried += any;
    if (!any) continue;
    const float chosen = us[static_cast<size_t>(layer.form)];
    Expect(us[0] > 0, "%s: dense is always among them", layer.name.c_str());
    Expect(chosen > 0 && chosen <= us[0], "%s: never slower than dense", layer.name.c_str());
    Expect(layer.note.find("measured") != std::string::npos, "%s: '%s'", layer.name.c_str(),
           layer.note.c_str());
  }
  Expect(tried >= 5, "some layers have zeros, found %zu", tried);
  const Model model = Load(tuned.bytes, DefaultIsa());
  Expect(model.plan().uses_file, "the file serves this machine");
}

// Reads and runs a file that may be anything. Returns the error, empty where there is none.
std::string Outcome(const Bytes& bytes, const Golden& golden, Isa isa) {
  try {
    Model model = Load(bytes, isa);
    std::vector<float> outputs(model.plan().outputs);
    Expect(outputs.size() == golden.outputs.size(), "number of outputs");
    model.Run(golden.image.data(), outputs.data());
  } catch (const std::invalid_argument& error) {
    const std::string line = error.what();
    Expect(line.find("Model 'test.snas'") == 0 && line.find('\n') == std::string::npos, "'%s'",
           line.c_str());
    return line;
  }
  return "";
}

void TestForgedSectionsDoNoHarm(const Golden& golden) {
  for (const Isa isa : {DefaultIsa(), Isa::kScalar}) {
    for (size_t k = 0; k < 4; ++k) {
      Bytes bytes = WithForms(golden.bytes, isa, 1, k);
      // Other bytes with each set of forms: all would take minutes with sanitizers or an emulator.
      const size_t step = isa == DefaultIsa() ? 11 : 73;
      size_t errors = 0;
      for (size_t i = SectionOf(bytes) + k; i < bytes.size(); i += step) {
        // Low bits make other numbers, high ones enormous ones.
        const uint8_t masks[] = {0x01, 0x40, 0xff, 0x80};
        const uint8_t mask = masks[(i + i / 4 + k) % 4];
        bytes[i] ^= mask;
        Seal(&bytes);
        errors += !Outcome(bytes, golden, isa).empty();
        bytes[i] ^= mask;
      }
      Expect(errors > 1000 / step, "most of what is no weight is checked, found %zu errors",
             errors);
    }
  }
}

void TestTruncatedSectionsAreErrors(const Golden& golden) {
  const Bytes whole = WithForms(golden.bytes, DefaultIsa(), 1, 1);
  for (size_t size = SectionOf(whole); size < whole.size(); size += size % 64 < 2 ? 1 : 21) {
    Bytes bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    // The last array may have no more than padding after it.
    Expect(Outcome(bytes, golden, DefaultIsa()).find("file_bytes") != std::string::npos,
           "%zu bytes are noticed", size);
    Seal(&bytes);
    Expect(!Outcome(bytes, golden, DefaultIsa()).empty(), "%zu bytes are too few", size);
  }
}

void TestNumbersOfTheSection(const Golden& golden) {
  struct Change {
    const char* what;
    size_t offset;
    uint32_t number;
  };
  // In the section: its header, the record of layer 1 and the first part.
  const size_t layers = 23;
  const Change changes[] = {
      {"threads: expected 1 to 256, found 0", 0, 0},
      {"parts: expected", 4, 1u << 30},
      {"isa: expected printable ASCII", 24, 0x01010101},
      {"cpu: expected zeros after the text, found byte 120", 124, 0x78000000},
      {"layer 1 'expand': form: expected 0 to 5, found 6", 128 + 64, 6},
      {"layer 1 'expand': form of conv1x1", 128 + 64, 4},
      {"layer 1 'expand': parts: expected 1, found 2", 128 + 64 + 4, 2},
      {"layer 1 'expand': by_pixels: expected 0, found 1", 128 + 64 + 8, 1},
      {"layer 1 'expand': reserved", 128 + 64 + 12, 1},
      {"layer 1 'expand': microseconds", 128 + 64 + 16, 0xbf800000},
      {"layer 0 'stem': first output channel", 128 + 64 * layers, 1},
      {"layer 0 'stem': end of output channels", 128 + 64 * layers + 4, 7},
  };
  const Bytes whole = WithForms(golden.bytes, DefaultIsa(), 1, 1);
  for (const Change& change : changes) {
    Bytes bytes = whole;
    std::memcpy(bytes.data() + SectionOf(whole) + change.offset, &change.number, 4);
    Seal(&bytes);
    ExpectFails(change.what, [&] { Load(bytes, DefaultIsa()); });
  }
  Bytes bytes = whole;
  bytes[44] = 1;
  bytes[45] = bytes[46] = bytes[47] = 0;
  Seal(&bytes);
  ExpectFails("offset 44: tuning_offset times 64", [&] { Load(bytes, DefaultIsa()); });
  bytes = whole;
  bytes[4] = 1;
  Seal(&bytes);
  ExpectFails("offset 44: tuning_offset (of version 1): expected 0",
              [&] { Load(bytes, DefaultIsa()); });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "Usage: %s GOLDEN_FILE GOLDEN_TUNED_FILE IMAGE.f32 OUTPUTS.f32\n",
                 argv[0]);
    return 2;
  }
  const Golden golden{ReadBytes(argv[1]), ReadBytes(argv[2]), ReadFloats(argv[3]),
                      ReadFloats(argv[4])};
  TestEveryFormIsMapped(golden);
  TestOtherThreadsPackAgain(golden);
  TestFilesOfOtherMachinesAreIgnored(golden);
  TestTuningReplacesASection(golden);
  TestTheTrialPicksAFormThatItTried(argv[1]);
  TestNumbersOfTheSection(golden);
  TestTruncatedSectionsAreErrors(golden);
  TestForgedSectionsDoNoHarm(golden);
  return Report();
}
