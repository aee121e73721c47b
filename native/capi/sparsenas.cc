#include "capi/sparsenas.h"

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "base/arch.h"
#include "base/error.h"
#include "model/model.h"

struct sparsenas_model {
  sparsenas::Model model;
};

namespace {

std::string& LastError() {
  static thread_local std::string error;
  return error;
}

// Keeps what `work` throws from reaching C, and returns `failed` instead.
template <class Result, class Work>
Result Guarded(Result failed, const Work& work) noexcept {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    LastError() = "There is not enough memory.";
  } catch (const std::exception& error) {
    LastError() = error.what();
  }
  return failed;
}

size_t Threads(int threads) {
  if (threads < 1) sparsenas::Fail("`threads` must be at least 1, found %d.", threads);
  return static_cast<size_t>(threads);
}

}  // namespace

sparsenas_model* sparsenas_open(const char* path, int threads) {
  return Guarded<sparsenas_model*>(nullptr, [&] {
    if (path == nullptr) sparsenas::Fail("Expected the path of a model file, found NULL.");
    return new sparsenas_model{
        sparsenas::Model::Open(path, sparsenas::DefaultIsa(), Threads(threads))};
  });
}

sparsenas_model* sparsenas_open_memory(const void* bytes, size_t size, int threads) {
  return Guarded<sparsenas_model*>(nullptr, [&] {
    if (bytes == nullptr) sparsenas::Fail("Expected the bytes of a model file, found NULL.");
    return new sparsenas_model{sparsenas::Model::FromBytes(
        bytes, size, "memory", sparsenas::DefaultIsa(), Threads(threads))};
  });
}

void sparsenas_close(sparsenas_model* model) { delete model; }

int sparsenas_run(sparsenas_model* model, const float* images, size_t count, float* outputs) {
  return Guarded(-1, [&] {
    if (model == nullptr) sparsenas::Fail("Expected a model, found NULL.");
    if (count != 0 && (images == nullptr || outputs == nullptr))
      sparsenas::Fail("Expected memory for %zu images and outputs, found NULL.", count);
    const sparsenas::Plan& plan = model->model.plan();
    for (size_t i = 0; i < count; ++i)
      model->model.Run(images + i * plan.image_floats(), outputs + i * plan.outputs);
    return 0;
  });
}

sparsenas_input sparsenas_input_of(const sparsenas_model* model) {
  const sparsenas::Plan& plan = model->model.plan();
  return {plan.height, plan.width, plan.channels,
          plan.input_layout == sparsenas::InputLayout::kHwc ? SPARSENAS_HWC : SPARSENAS_CHW};
}

size_t sparsenas_outputs(const sparsenas_model* model) { return model->model.plan().outputs; }

const char* sparsenas_class_name(const sparsenas_model* model, size_t output) {
  const std::vector<std::string>& classes = model->model.plan().classes;
  return output < classes.size() ? classes[output].c_str() : nullptr;
}

size_t sparsenas_memory(const sparsenas_model* model) {
  const sparsenas::Plan& plan = model->model.plan();
  return plan.weight_bytes + plan.arena_floats * sizeof(float);
}

const char* sparsenas_last_error(void) { return LastError().c_str(); }

const char* sparsenas_version(void) { return SPARSENAS_VERSION; }
