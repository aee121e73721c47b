// sparsenas-run: runs, profiles, measures and tunes a model file on a device without Python.
//
// Prints tables for people, or JSON. Bad input is one line on stderr and exit code 2; outputs that
// differ from those expected are exit code 1.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "base/arch.h"
#include "base/build_id.h"
#include "base/error.h"
#include "base/order.h"
#include "base/peak.h"
#include "model/mapped_file.h"
#include "model/model.h"
#include "model/tune.h"

namespace {

using namespace sparsenas;

constexpr const char kUsage[] = R"(Usage:
  sparsenas-run run MODEL IMAGE.f32      print the outputs for one image
  sparsenas-run profile MODEL            print the time of every layer
  sparsenas-run measure MODEL            print the time of whole runs
  sparsenas-run tune MODEL OUT           find the fastest form of every layer, write it with the model
  sparsenas-run turns MODEL...           visit the models in turns; print as JSON a line with the
                                         kernels of their last layers, and for each round a line
                                         with the microseconds of a run of each model
  sparsenas-run cpu                      print what this machine is

IMAGE.f32 is raw little-endian float32: height x width x channels, values 0 to 1.

Options:
  --expect OUTPUTS.f32   (run) compare the outputs with these; exit code 1 where they differ
  --tolerance X          (run) largest relative difference for --expect, by default 1e-4
  --repeats N            (profile, measure) runs to time, by default 100
  --rounds N             (turns) visits of each model, by default 15
  --core K               stay on core K
  --threads N            share large layers between N threads, by default 1
  --isa NAME             use these kernels: scalar, neon, avx2 or avx512
  --force                (tune) write OUT even where there is one
  --json                 print JSON
)";

struct Options {
  std::string command;
  std::vector<std::string> files;
  std::string expect;
  double tolerance = 1e-4;
  size_t repeats = 100;
  size_t rounds = 15;
  int core = -1;
  size_t threads = 1;
  std::string isa;
  bool json = false;
  bool force = false;
};

double ParseNumber(const std::string& option, const std::string& text, double least, double most) {
  char* end = nullptr;
  errno = 0;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || errno != 0 || !(number >= least && number <= most)) {
    Fail("Option %s expects a number, %.10g to %.10g, found '%s'.", option.c_str(), least, most,
         text.c_str());
  }
  return number;
}

size_t ParseCount(const std::string& option, const std::string& text, double least, double most) {
  const double number = ParseNumber(option, text, least, most);
  if (number != std::floor(number)) {
    Fail("Option %s expects a whole number, found '%s'.", option.c_str(), text.c_str());
  }
  return static_cast<size_t>(number);
}

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 == argc) Fail("Option %s expects a value, found none.", argument.c_str());
      return argv[++i];
    };
    if (argument == "--json") {
      options.json = true;
    } else if (argument == "--force") {
      options.force = true;
    } else if (argument == "--expect") {
      options.expect = value();
    } else if (argument == "--tolerance") {
      options.tolerance = ParseNumber(argument, value(), 0, 1e9);
    } else if (argument == "--repeats") {
      options.repeats = ParseCount(argument, value(), 1, 1e7);
    } else if (argument == "--rounds") {
      options.rounds = ParseCount(argument, value(), 1, 1e6);
    } else if (argument == "--core") {
      options.core = static_cast<int>(ParseCount(argument, value(), 0, 4095));
    } else if (argument == "--threads") {
      options.threads = ParseCount(argument, value(), 1, 256);
    } else if (argument == "--isa") {
      options.isa = value();
    } else if (argument.size() > 1 && argument[0] == '-') {
      Fail("No option %s. `sparsenas-run --help` lists them.", argument.c_str());
    } else if (options.command.empty()) {
      options.command = argument;
    } else {
      options.files.push_back(argument);
    }
  }
  if (options.core >= 0 && options.threads > 1)
    Fail("Option --core keeps all threads on one core, expected 1 of them, found %zu.",
         options.threads);
  return options;
}

std::vector<float> ReadFloats(const std::string& path, size_t count, const std::string& what) {
  const MappedFile file(path);
  if (file.size() != count * sizeof(float)) {
    Fail("'%s' must hold %s, %zu float32 or %zu bytes, found %zu bytes.", path.c_str(),
         what.c_str(), count, count * sizeof(float), file.size());
  }
  std::vector<float> floats(count);
  std::memcpy(floats.data(), file.bytes(), file.size());
  return floats;
}

std::string Quote(const std::string& text) {  // Names have no control characters.
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

// JSON has no word for infinity or NaN.
std::string Number(double number) {
  if (!std::isfinite(number)) return "null";
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", number);
  return text;
}

template <typename Numbers>
std::string List(const Numbers& numbers) {
  std::string text = "[";
  for (const double number : numbers) text += (text.size() > 1 ? ", " : "") + Number(number);
  return text + "]";
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + values.size() / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::string MachineJson(Isa isa) {
  return "{\"cpu\": " + Quote(CpuName()) + ", \"isa\": " + Quote(IsaName(isa)) +
         ", \"cores\": " + std::to_string(CoreCount()) +
         ", \"peak_gflops\": " + Number(MeasurePeakGflops(isa)) +
         ", \"l1d_bytes\": " + std::to_string(L1DataBytes()) +
         ", \"l2_bytes\": " + std::to_string(L2Bytes()) + "}, \"build_id\": " + Quote(BuildId());
}

std::string Shape(const Layer& layer) {
  return std::to_string(layer.c_in) + " -> " + std::to_string(layer.c_out) + " @ " +
         std::to_string(layer.height) + "x" + std::to_string(layer.width);
}

int Run(const Options& options, Model* model) {
  const std::vector<float> image =
      ReadFloats(options.files[1], model->plan().image_floats(), "the image");
  std::vector<float> outputs(model->plan().outputs);
  model->Run(image.data(), outputs.data());

  double worst = 0;
  if (!options.expect.empty()) {
    const std::vector<float> expected = ReadFloats(options.expect, outputs.size(), "the outputs");
    double largest = 1e-30;
    for (const float value : expected) largest = std::max(largest, std::fabs(double{value}));
    for (size_t i = 0; i < outputs.size(); ++i) {
      const double difference = std::fabs(double{outputs[i]} - expected[i]) / largest;
      if (!(difference <= worst)) worst = difference;  // Also where it is NaN.
    }
  }
  const bool differs = !(worst <= options.tolerance);

  const std::vector<std::string>& classes = model->plan().classes;
  if (options.json) {
    std::string names;
    for (const std::string& name : classes) names += (names.empty() ? "" : ", ") + Quote(name);
    std::printf("{\"outputs\": %s, \"classes\": [%s]", List(outputs).c_str(), names.c_str());
    if (!options.expect.empty())
      std::printf(", \"relative_difference\": %s", Number(worst).c_str());
    std::printf("}\n");
  } else if (classes.empty()) {
    for (const float output : outputs) std::printf("%.9g\n", output);
  } else {
    std::vector<double> keys;
    for (const float output : outputs) keys.push_back(-double{output});
    for (const size_t i : OrderBy(keys))
      std::printf("%12.6g  %s\n", outputs[i], classes[i].c_str());
  }
  if (differs) {
    std::fprintf(
        stderr, "The outputs differ from '%s' by %.3g of the largest one, expected at most %.3g.\n",
        options.expect.c_str(), worst, options.tolerance);
  }
  return differs ? 1 : 0;
}

int Profile(const Options& options, Model* model) {
  const std::vector<PlannedLayer>& layers = model->plan().layers;
  std::vector<double> seconds(options.repeats * layers.size());
  model->Profile(options.repeats, seconds.data());
  std::vector<double> medians;
  for (size_t i = 0; i < layers.size(); ++i) {
    std::vector<double> one;
    for (size_t k = i; k < seconds.size(); k += layers.size()) one.push_back(seconds[k]);
    medians.push_back(Median(one));
  }
  if (options.json) {
    std::printf("{\"machine\": %s, \"repeats\": %zu, \"layers\": [",
                MachineJson(model->plan().isa).c_str(), options.repeats);
    for (size_t i = 0; i < layers.size(); ++i) {
      const PlannedLayer& layer = layers[i];
      std::printf(
          "%s\n  {\"name\": %s, \"op\": \"%s\", \"pattern\": \"%s\", \"c_in\": %u, \"c_out\": %u, "
          "\"height\": %u, \"width\": %u, \"kernel\": %u, \"stride\": %u, \"nonzeros\": %zu, "
          "\"kernel_name\": %s, \"note\": %s, \"us\": %s}",
          i == 0 ? "" : ",", Quote(layer.name).c_str(), Name(layer.op), Name(layer.pattern),
          layer.c_in, layer.c_out, layer.height, layer.width, layer.kernel, layer.stride,
          layer.nonzeros, Quote(layer.kernel_name).c_str(), Quote(layer.note).c_str(),
          Number(1e6 * medians[i]).c_str());
    }
    std::printf("\n]}\n");
    return 0;
  }
  double total = 0;
  std::printf("%10s  %8s  %-20s  %-22s  %s\n", "us", "nonzeros", "layer", "shape", "kernel");
  for (size_t i = 0; i < layers.size(); ++i) {
    const PlannedLayer& layer = layers[i];
    std::printf("%10.2f  %8zu  %-20s  %-22s  %s%s%s\n", 1e6 * medians[i], layer.nonzeros,
                layer.name.c_str(), Shape(layer).c_str(), layer.kernel_name,
                layer.note.empty() ? "" : "; ", layer.note.c_str());
    total += medians[i];
  }
  std::printf("%10.2f  sum of the medians of %zu runs\n", 1e6 * total, options.repeats);
  return 0;
}

int Measure(const Options& options, Model* model) {
  std::vector<double> seconds(options.repeats);
  model->Measure(options.repeats, seconds.data());
  const double median = Median(seconds);
  const double best = *std::min_element(seconds.begin(), seconds.end());
  if (options.json) {
    std::printf("{\"machine\": %s, \"median_ms\": %s, \"best_ms\": %s, \"seconds\": %s}\n",
                MachineJson(model->plan().isa).c_str(), Number(1e3 * median).c_str(),
                Number(1e3 * best).c_str(), List(seconds).c_str());
  } else {
    std::printf("median %.4f ms, best %.4f ms of %zu runs (%s)\n", 1e3 * median, 1e3 * best,
                options.repeats, IsaName(model->plan().isa));
  }
  return 0;
}

// Writes beside and renames, so that nobody sees half a file.
void WriteFile(const std::string& path, const std::vector<uint8_t>& bytes) {
  const std::string beside = path + ".part";
  std::FILE* file = std::fopen(beside.c_str(), "wb");
  if (file == nullptr) Fail("Cannot write '%s': %s.", path.c_str(), std::strerror(errno));
  bool good = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  good = std::fclose(file) == 0 && good;
  good = good && std::rename(beside.c_str(), path.c_str()) == 0;
  if (good) return;
  const int error = errno;
  std::remove(beside.c_str());
  Fail("Cannot write '%s': %s.", path.c_str(), std::strerror(error));
}

int TuneModel(const Options& options, Isa isa) {
  const std::string& out = options.files[1];
  if (!options.force && access(out.c_str(), F_OK) == 0)
    Fail("'%s' is there already; choose another name, or give --force.", out.c_str());
  const Tuned tuned = Tune(options.files[0], isa, options.threads, [](size_t, size_t) {});
  WriteFile(out, tuned.bytes);
  if (options.json) std::printf("{\"machine\": %s, \"layers\": [", MachineJson(isa).c_str());
  for (size_t i = 0; i < tuned.plan.layers.size(); ++i) {
    const PlannedLayer& layer = tuned.plan.layers[i];
    std::string times;
    for (uint32_t form = 0; form < kForms; ++form) {
      const float us = tuned.us[i][form];
      if (!(us > 0)) continue;
      const std::string name = Name(static_cast<Form>(form));
      times += times.empty() ? "" : ", ";
      times += options.json ? Quote(name) + ": " + Number(double{us})
                            : name + " " + Number(std::round(10 * double{us}) / 10);
    }
    if (options.json) {
      std::printf("%s\n  {\"name\": %s, \"form\": \"%s\", \"us\": {%s}, \"note\": %s}",
                  i == 0 ? "" : ",", Quote(layer.name).c_str(), Name(layer.form), times.c_str(),
                  Quote(layer.note).c_str());
    } else if (!layer.note.empty()) {
      std::printf("%-20s  %-22s  %-12s  %s%s\n", layer.name.c_str(), Shape(layer).c_str(),
                  Name(layer.form), times.c_str(), times.empty() ? layer.note.c_str() : " us");
    }
  }
  if (options.json) std::printf("\n]}\n");
  return 0;
}

// How long a model runs at each visit, so that the median is over many runs of a small one.
constexpr double kVisitSeconds = 1e-3;
constexpr size_t kLeastRuns = 3;

double Visit(Model* model, size_t runs) {
  std::vector<double> seconds(runs);
  model->Measure(runs, seconds.data());
  return Median(seconds);
}

int Turns(const Options& options, Isa isa) {
  std::vector<Model> models;
  std::vector<size_t> runs;
  for (const std::string& file : options.files) {
    models.push_back(Model::Open(file, isa, options.threads));
    const double once = std::max(Visit(&models.back(), kLeastRuns), 1e-9);
    runs.push_back(std::max(kLeastRuns, static_cast<size_t>(kVisitSeconds / once)));
  }
  std::string names;
  for (const Model& model : models)
    names += (names.empty() ? "" : ", ") + Quote(model.plan().layers.back().kernel_name);
  std::printf("[%s]\n", names.c_str());
  for (size_t round = 0; round < options.rounds; ++round) {
    std::vector<double> us;
    for (size_t i = 0; i < models.size(); ++i) us.push_back(1e6 * Visit(&models[i], runs[i]));
    std::printf("%s\n", List(us).c_str());
    std::fflush(stdout);  // Whoever reads keeps what is measured, should the connection break.
  }
  return 0;
}

int Cpu(const Options& options, Isa isa) {
  if (options.json) {
    std::printf("{\"machine\": %s}\n", MachineJson(isa).c_str());
  } else {
    std::printf("%s\n%zu cores, %s, %.1f GFLOP/s a core, %zu KB L1, %zu KB L2\nbuild %s\n",
                CpuName().c_str(), CoreCount(), IsaName(isa), MeasurePeakGflops(isa),
                L1DataBytes() / 1024, L2Bytes() / 1024, BuildId());
  }
  return 0;
}

int Main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--help") == 0 || std::strcmp(argv[i], "-h") == 0) {
      std::fputs(kUsage, stdout);
      return 0;
    }
  }
  const Options options = Parse(argc, argv);
  const Isa isa = options.isa.empty() ? DefaultIsa() : ParseIsa(options.isa, "--isa");
  if (options.core >= 0) PinToCore(options.core);
  if (options.command == "turns") {
    if (options.files.empty()) Fail("`sparsenas-run turns` expects at least 1 file, found none.");
    return Turns(options, isa);
  }
  const struct {
    const char* name;
    size_t files;
    int (*run)(const Options&, Model*);
  } commands[] = {{"run", 2, Run},
                  {"profile", 1, Profile},
                  {"measure", 1, Measure},
                  {"tune", 2, nullptr},
                  {"cpu", 0, nullptr}};
  for (const auto& command : commands) {
    if (options.command != command.name) continue;
    if (options.files.size() != command.files) {
      Fail("`sparsenas-run %s` expects %zu files, found %zu. `sparsenas-run --help` says which.",
           command.name, command.files, options.files.size());
    }
    if (options.command == "tune") return TuneModel(options, isa);
    if (command.run == nullptr) return Cpu(options, isa);
    Model model = Model::Open(options.files[0], isa, options.threads);
    return command.run(options, &model);
  }
  Fail(
      "Expected a command, run, profile, measure, tune, turns or cpu, found '%s'. `sparsenas-run "
      "--help` "
      "explains them.",
      options.command.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
