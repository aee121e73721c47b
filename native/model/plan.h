// Decides once, when a model is loaded, how every layer runs: its kernel, how its weights are
// packed, and where its activations lie.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/arch.h"
#include "base/parallel.h"
#include "model/form.h"
#include "model/format.h"
#include "model/packed.h"
#include "model/weight_rows.h"

namespace sparsenas {

// Activations of the image or of one layer: a CHW tensor (kernels/tensor.h), or a vector [C], whose
// stride is 1.
struct Tensor {
  size_t channels = 0;
  size_t height = 0, width = 0;
  size_t stride = 0;  // Floats between channels.
  size_t offset = 0;  // In the arena, in floats.

  size_t pixels() const { return height * width; }
};

struct PlannedLayer : Layer {
  const char* kernel_name;
  std::string note;  // Why it runs in the form it does; empty where its operator has but one.
  Form form;
  bool by_pixels;           // Parts share the pixels, not the output channels.
  std::vector<Rows> parts;  // Output channels of each.
  // Of each part, of the first alone where parts share pixels; points into the plan's weights.
  std::vector<PackedFields> packed;
};

struct Decision;

struct Plan {
  // Runs a layer, or some of its output channels or pixels. `image` is the network's input where it
  // is HWC; all else is in the arena.
  class Part {
   public:
    // `run` is called with what `with` points to.
    Part(void (*run)(void* with, const float* image, float* arena), std::shared_ptr<void> with)
        : run_(run), with_(std::move(with)) {}

    void operator()(const float* image, float* arena) const { run_(with_.get(), image, arena); }

   private:
    void (*run_)(void* with, const float* image, float* arena);
    std::shared_ptr<void> with_;
  };

  struct Step {
    std::vector<std::pair<Tensor, Tensor>> copies;  // Come first, from one to the other.
    std::vector<Part> parts;  // May run at the same time, at most one for each thread.
  };

  Isa isa;
  size_t threads;
  uint32_t height, width, channels;  // Of the image.
  InputLayout input_layout;
  std::vector<std::string> classes;
  std::vector<PlannedLayer> layers;
  std::vector<Step> steps;  // One per layer.
  Tensor input;             // The image's place in the arena, where it is CHW.
  Tensor output;
  size_t outputs;  // Floats of the output, without padding.
  size_t arena_floats;
  size_t weight_bytes;  // Of the packed weights.
  std::string tuning;   // What became of the file's tuning section; empty where it has none.
  bool uses_file;       // Whether weights lie in the file's bytes, which then must stay.
  std::shared_ptr<const void> file;  // Keeps them.

  size_t image_floats() const { return size_t{height} * width * channels; }
};

// Computes a layer on as many of the threads as it has parts.
void RunStep(const Plan::Step& step, const float* image, float* arena, Threads& threads);

// Takes forms and packed weights from the model's tuning section where it was tuned for this
// machine, otherwise chooses by estimates and packs. Unless `uses_file`, the bytes behind `model`
// are no longer needed. Fails, naming file and layer, where the model needs what no kernel does.
Plan MakePlan(const ModelView& model, Isa isa, size_t threads);

// As decided for each layer.
Plan MakePlan(const ModelView& model, Isa isa, size_t threads,
              const std::vector<Decision>& decisions);

}  // namespace sparsenas
