#include "model/plan.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/error.h"
#include "kernels/conv_hwc/conv_hwc.h"
#include "kernels/tensor.h"
#include "model/arena.h"
#include "model/step.h"
#include "model/tuning.h"

namespace sparsenas {
namespace {

// 2 GiB hold the activations of ResNet-50 at 4096 x 4096; what asks for more is a damaged file.
constexpr uint64_t kMaxArenaFloats = uint64_t{1} << 29;

// To the same tensor with another stride.
void CopyPlanes(const Tensor& from, const Tensor& to, float* arena) {
  for (size_t c = 0; c < from.channels; ++c) {
    std::memcpy(arena + to.offset + c * to.stride, arena + from.offset + c * from.stride,
                from.pixels() * sizeof(float));
  }
}

// What the format allows and no kernel does yet.
void CheckSupported(const ModelView& model) {
  for (const LayerView& layer : model.layers) {
    const char* kernels;
    bool known;
    uint32_t strides = 2;
    switch (layer.op) {
      case Op::kConvHwc:
        kernels = "3, 5, 7 or 11";
        known = layer.kernel == 11 || (layer.kernel >= 3 && layer.kernel <= 7);
        strides = kConvHwcMostStride;
        break;
      case Op::kDepthwise:
        kernels = "3, 5 or 7";
        known = layer.kernel >= 3 && layer.kernel <= 7;
        break;
      case Op::kConv:
        kernels = "1, 3, 5 or 7";
        known = layer.kernel <= 7;
        break;
      default:
        continue;
    }
    if (known && layer.stride <= strides) continue;
    Fail(
        "Model '%s', offset %zu: layer '%s': expected kernel %s and stride 1 to %u, found kernel "
        "%u and stride %u, which no kernel of %s computes.",
        model.file.c_str(), layer.offset, layer.name.c_str(), kernels, strides, layer.kernel,
        layer.stride, Name(layer.op));
  }
}

// The inputs and outputs of all layers, with their places in the arena.
class Layout {
 public:
  Layout(const ModelView& model, const std::vector<Decision>& decisions)
      : model_(model), decisions_(decisions) {
    const size_t steps = model.layers.size();
    if (model.input_layout == InputLayout::kChw) {
      image_.channels = model.channels;
      image_.height = model.height;
      image_.width = model.width;
      image_.stride = FreeStride(kImage, image_);
      // The image stays for the next run.
      Claim(&image_, 0, steps);
    }
    outputs_.resize(steps);
    operands_.resize(steps);
    for (size_t i = 0; i < steps; ++i) {
      const LayerView& layer = model.layers[i];
      outputs_[i].channels = layer.c_out;
      outputs_[i].height = layer.out_height;
      outputs_[i].width = layer.out_width;
      outputs_[i].stride = layer.op == Op::kFullyConnected      ? 1
                           : layer.op == Op::kGlobalAveragePool ? FreeStride(i, outputs_[i])
                                                                : Planes(outputs_[i]);
      Claim(&outputs_[i], i, LastReader(i));
    }
    for (size_t i = 0; i < steps; ++i) AddOperands(i);
    Place();
  }

  const Tensor& image() const { return image_; }
  const Tensor& output() const { return outputs_.back(); }
  const Operands& operands(size_t i) const { return operands_[i]; }
  size_t arena_floats() const { return arena_floats_; }

 private:
  static size_t Planes(const Tensor& tensor) { return PlaneStride(tensor.height, tensor.width); }

  static bool ReadsVector(const LayerView& layer) { return layer.op == Op::kFullyConnected; }

  // Whether a layer takes its input number k however far apart its channels are.
  static bool ReadsAnyStride(const LayerView& layer, size_t k, const Tensor& tensor) {
    return layer.op == Op::kConvHwc ||
           (layer.op == Op::kMultiply && k == 1 && tensor.pixels() == 1);
  }

  bool Reads(const LayerView& layer, int32_t input) const {
    return std::find(layer.inputs.begin(), layer.inputs.end(), input) != layer.inputs.end();
  }

  // The stride of a tensor whose producer can write any: whatever spares its readers a copy.
  size_t FreeStride(int32_t input, const Tensor& tensor) const {
    if (tensor.pixels() != 1) return Planes(tensor);
    for (const LayerView& layer : model_.layers) {
      for (size_t k = 0; k < layer.inputs.size(); ++k) {
        if (layer.inputs[k] == input && !ReadsVector(layer) && !ReadsAnyStride(layer, k, tensor))
          return Planes(tensor);
      }
    }
    return 1;
  }

  size_t LastReader(size_t i) const {
    const size_t steps = model_.layers.size();
    if (i + 1 == steps) return steps;  // The output is read after the last step.
    size_t last = i;                   // Where nobody reads it, it is still written.
    for (size_t k = i + 1; k < steps; ++k) {
      if (Reads(model_.layers[k], static_cast<int32_t>(i))) last = k;
    }
    return last;
  }

  void AddOperands(size_t i) {
    const LayerView& layer = model_.layers[i];
    Operands& operands = operands_[i];
    operands.out = outputs_[i];
    for (size_t k = 0; k < layer.inputs.size(); ++k) {
      const int32_t input = layer.inputs[k];
      const Tensor& tensor = input == kImage ? image_ : outputs_[input];
      operands.in.push_back(tensor);
      const size_t wanted = ReadsVector(layer) ? tensor.pixels() : Planes(tensor);
      if (tensor.stride == wanted || ReadsAnyStride(layer, k, tensor)) continue;
      Tensor copy = tensor;
      copy.stride = wanted;
      Claim(&copy, i, i);
      operands.copies.emplace_back(tensor, copy);
      operands.in.back() = copy;
    }
    const uint64_t scratch = ScratchFloats(layer, decisions_[i].choice.form);
    if (scratch == 0) return;
    for (size_t part = 0; part < decisions_[i].parts.size(); ++part)
      operands.scratch.push_back(Claim(scratch, i, i));
  }

  // Claims return the number of a buffer, which stands in for its offset until all are placed.
  size_t Claim(uint64_t floats, size_t first_step, size_t last_step) {
    if (floats > kMaxArenaFloats) TooLarge(floats);
    buffers_.push_back({RoundUp(floats, kStrideFloats), first_step, last_step});
    return buffers_.size() - 1;
  }
  void Claim(Tensor* tensor, size_t first_step, size_t last_step) {
    tensor->offset = Claim(uint64_t{tensor->channels} * tensor->stride, first_step, last_step);
  }

  void Place() {
    const Arena arena = PlaceBuffers(buffers_);
    if (arena.floats > kMaxArenaFloats) TooLarge(arena.floats);
    arena_floats_ = arena.floats;
    const auto resolve = [&](Tensor* tensor) { tensor->offset = arena.offsets[tensor->offset]; };
    if (model_.input_layout == InputLayout::kChw) resolve(&image_);
    for (Tensor& tensor : outputs_) resolve(&tensor);
    for (size_t i = 0; i < operands_.size(); ++i) {
      Operands& operands = operands_[i];
      resolve(&operands.out);
      for (size_t& scratch : operands.scratch) scratch = arena.offsets[scratch];
      if (model_.layers[i].op != Op::kConvHwc) {
        for (Tensor& tensor : operands.in) resolve(&tensor);
      }
      for (auto& [from, to] : operands.copies) {
        resolve(&from);
        resolve(&to);
      }
    }
  }

  [[noreturn]] void TooLarge(uint64_t floats) const {
    Fail(
        "Model '%s' needs %llu MiB for its activations, expected at most %llu MiB; is its image, "
        "%u x %u x %u, too large?",
        model_.file.c_str(), static_cast<unsigned long long>(floats >> 18),
        static_cast<unsigned long long>(kMaxArenaFloats >> 18), model_.height, model_.width,
        model_.channels);
  }

  const ModelView& model_;
  const std::vector<Decision>& decisions_;
  std::vector<Buffer> buffers_;
  Tensor image_;
  std::vector<Tensor> outputs_;
  std::vector<Operands> operands_;
  size_t arena_floats_ = 0;
};

}  // namespace

void RunStep(const Plan::Step& step, const float* image, float* arena, Threads& threads) {
  for (const auto& [from, to] : step.copies) CopyPlanes(from, to, arena);
  if (step.parts.size() == 1) return step.parts[0](image, arena);
  struct Context {
    const std::vector<Plan::Part>& parts;
    const float* image;
    float* arena;
  } context{step.parts, image, arena};
  threads.Run(
      [](void* shared, size_t thread) {
        const Context& context = *static_cast<const Context*>(shared);
        if (thread < context.parts.size()) context.parts[thread](context.image, context.arena);
      },
      &context);
}

Plan MakePlan(const ModelView& model, Isa isa, size_t threads) {
  const std::optional<Tuning> tuning = ReadTuning(model);
  const TuningUse use = tuning ? UseOf(*tuning, isa, threads) : TuningUse::kNothing;
  std::vector<Decision> decisions;
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const LayerView& layer = model.layers[i];
    const TunedLayer* tuned = use == TuningUse::kNothing ? nullptr : &tuning->layers[i];
    if (tuned == nullptr) {
      decisions.push_back(Decide(layer, isa, threads));
    } else if (use == TuningUse::kForms) {
      decisions.push_back(DecideAsTuned(model, layer, *tuned, isa, threads));
    } else {
      decisions.push_back(DecideAsStored(layer, *tuned, isa, threads));
    }
  }
  Plan plan = MakePlan(model, isa, threads, decisions);
  if (tuning) plan.tuning = Describe(*tuning, use);
  plan.uses_file = use == TuningUse::kWeights;
  return plan;
}

Plan MakePlan(const ModelView& model, Isa isa, size_t threads,
              const std::vector<Decision>& decisions) {
  CheckSupported(model);
  const Layout layout(model, decisions);
  Plan plan;
  plan.isa = isa;
  plan.threads = threads;
  plan.height = model.height;
  plan.width = model.width;
  plan.channels = model.channels;
  plan.input_layout = model.input_layout;
  plan.classes = model.classes;
  plan.input = layout.image();
  plan.output = layout.output();
  plan.outputs = plan.output.channels * plan.output.pixels();
  plan.arena_floats = layout.arena_floats();
  plan.weight_bytes = 0;
  plan.uses_file = false;
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const LayerView& layer = model.layers[i];
    const Operands& operands = layout.operands(i);
    PlannedStep step = PlanStep(model, layer, decisions[i], operands, isa);
    plan.layers.push_back({layer, step.kernel_name, decisions[i].choice.note,
                           decisions[i].choice.form, decisions[i].by_pixels, decisions[i].parts,
                           std::move(step.packed)});
    plan.weight_bytes += step.weight_bytes;
    plan.steps.push_back({operands.copies, std::move(step.parts)});
  }
  return plan;
}

}  // namespace sparsenas
