#include "model/model.h"

#include <chrono>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "model/format.h"
#include "model/mapped_file.h"

namespace sparsenas {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

// Any image will do: no kernel's time depends on the numbers, as long as they are ordinary ones.
std::vector<float> SomeImage(size_t floats) {
  std::vector<float> image(floats);
  uint32_t state = 1;
  for (float& value : image) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) / static_cast<float>(1u << 24);
  }
  return image;
}

// Runs until caches and branch predictors know the work. Short, because a latency table visits
// hundreds of models many times in turn; whoever measures once takes the median of many runs.
template <class Fn>
void WarmUp(const Fn& run) {
  for (int i = 0; i < 3; ++i) run();
}

// More than any machine this runs on has cores.
constexpr size_t kMaxThreads = 256;

}  // namespace

void CheckThreads(size_t threads) {
  if (threads < 1 || threads > kMaxThreads)
    Fail("`threads` must be 1 to %zu, found %zu.", kMaxThreads, threads);
}

Model::Model(Plan plan)
    : plan_(std::move(plan)), arena_(plan_.arena_floats), threads_(plan_.threads) {}

Model Model::Open(const std::string& path, Isa isa, size_t threads) {
  CheckThreads(threads);
  const auto file = std::make_shared<const MappedFile>(path);
  Plan plan = MakePlan(ReadModel(file->bytes(), file->size(), path), isa, threads);
  if (plan.uses_file) plan.file = file;
  return Model(std::move(plan));
}

Model Model::FromBytes(const void* bytes, size_t size, const std::string& name, Isa isa,
                       size_t threads) {
  CheckThreads(threads);
  const auto copy = std::make_shared<AlignedArray<uint8_t>>(size);
  if (size > 0) std::memcpy(copy->data(), bytes, size);
  Plan plan = MakePlan(ReadModel(copy->data(), size, name), isa, threads);
  if (plan.uses_file) plan.file = copy;
  return Model(std::move(plan));
}

void Model::Run(const float* image, float* outputs) {
  LoadImage(image);
  RunSteps(image);
  const Tensor& output = plan_.output;
  for (size_t c = 0; c < output.channels; ++c) {
    std::memcpy(outputs + c * output.pixels(), arena_.data() + output.offset + c * output.stride,
                output.pixels() * sizeof(float));
  }
}

void Model::Repeat(size_t repeats) {
  const std::vector<float> image = SomeImage(plan_.image_floats());
  LoadImage(image.data());
  for (size_t i = 0; i < repeats; ++i) RunSteps(image.data());
}

void Model::Measure(size_t repeats, double* seconds) {
  const std::vector<float> image = SomeImage(plan_.image_floats());
  LoadImage(image.data());
  WarmUp([&] { RunSteps(image.data()); });
  for (size_t i = 0; i < repeats; ++i) {
    const Clock::time_point begin = Clock::now();
    RunSteps(image.data());
    seconds[i] = Seconds(Clock::now() - begin);
  }
}

void Model::MeasureCold(size_t repeats, double* seconds) {
  const std::vector<float> image = SomeImage(plan_.image_floats());
  LoadImage(image.data());
  WarmUp([&] { RunSteps(image.data()); });
  // Twice the cache: replacement is not perfect. A line holds 16 floats.
  std::vector<float> other(2 * L2Bytes() / sizeof(float));
  for (size_t i = 0; i < repeats; ++i) {
    for (size_t k = 0; k < other.size(); k += 16) other[k] += 1.0f;
    const Clock::time_point begin = Clock::now();
    RunSteps(image.data());
    seconds[i] = Seconds(Clock::now() - begin);
  }
}

void Model::Profile(size_t repeats, double* seconds) {
  const std::vector<float> image = SomeImage(plan_.image_floats());
  LoadImage(image.data());
  WarmUp([&] { RunSteps(image.data()); });
  for (size_t i = 0; i < repeats; ++i) {
    Clock::time_point begin = Clock::now();
    for (const Plan::Step& step : plan_.steps) {
      RunStep(step, image.data(), arena_.data(), threads_);
      const Clock::time_point end = Clock::now();
      *seconds++ = Seconds(end - begin);
      begin = end;
    }
  }
}

void Model::LoadImage(const float* image) {
  if (plan_.input_layout == InputLayout::kHwc) return;  // conv_hwc reads it where it is.
  const Tensor& input = plan_.input;
  for (size_t c = 0; c < input.channels; ++c) {
    std::memcpy(arena_.data() + input.offset + c * input.stride, image + c * input.pixels(),
                input.pixels() * sizeof(float));
  }
}

void Model::RunSteps(const float* image) {
  for (const Plan::Step& step : plan_.steps) RunStep(step, image, arena_.data(), threads_);
}

}  // namespace sparsenas
