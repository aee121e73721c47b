#include "model/trial.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "base/aligned.h"
#include "model/plan.h"
#include "model/step.h"

namespace sparsenas {
namespace {

using Clock = std::chrono::steady_clock;

// Estimates are off by 5% to 14% on average (model/form.cc): this is far beyond that.
constexpr double kFarBehind = 1.6;

// Rounds; in each, every form runs once. More of them while the layer has had less than its time.
constexpr size_t kLeastRounds = 11, kMostRounds = 41;
constexpr double kEnoughSeconds = 0.02;

// A form is faster than another beyond doubt where it is so by this much in the median and in the
// lower quartile, which other work on the machine disturbs less. Nothing else displaces the form
// that estimates choose, and only that keeps dense from running: noise makes no layer slower than
// dense.
constexpr double kFaster = 0.97;

// More than most last-level caches: beyond it weights come from main memory anyway.
constexpr size_t kMostOthers = size_t{64} << 20;

// The value that so many quarters of all are below.
double Quartile(std::vector<double> values, size_t quarters) {
  const auto at = values.begin() + static_cast<ptrdiff_t>(values.size() * quarters / 4);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}
double Median(const std::vector<double>& values) { return Quartile(values, 2); }

// What the rest of the network does to the caches of all cores between two runs of a layer: pushes
// its weights as far out as they are when their turn comes again.
class Others {
 public:
  Others(size_t bytes, Threads& threads)
      : memory_(std::min(bytes, kMostOthers) / sizeof(float)), threads_(threads) {}

  // Reads and writes its memory, each thread a share as with layers. Activations are not as far
  // away as weights: those of the layers before lay in the same arena, and the last of them has
  // just written what this one reads.
  void Run(AlignedArray<float>& arena, float* input, size_t floats) {
    struct Context {
      AlignedArray<float>& memory;
      AlignedArray<float>& arena;
      float* input;
      size_t floats, threads;
    } context{memory_, arena, input, floats, threads_.count()};
    threads_.Run(
        [](void* shared, size_t thread) {
          const Context& c = *static_cast<const Context*>(shared);
          Touch(c.memory.data(), c.memory.size(), thread, c.threads);
          Touch(c.arena.data(), c.arena.size(), thread, c.threads);
          Touch(c.input, c.floats, thread, c.threads);
        },
        &context);
  }

 private:
  static void Touch(float* data, size_t floats, size_t thread, size_t threads) {
    constexpr size_t kLine = kAlignment / sizeof(float);
    const size_t lines = floats / kLine, end = lines * (thread + 1) / threads;
    // Back and forth between two numbers, so that nothing becomes large or denormal.
    for (size_t line = lines * thread / threads; line < end; ++line)
      data[line * kLine] = 3.0f - data[line * kLine];
  }

  AlignedArray<float> memory_;
  Threads& threads_;
};

// A layer by itself in one form.
struct Candidate {
  Form form;
  Plan plan;
  AlignedArray<float> arena;
  std::vector<double> seconds;

  Candidate(const ModelView& model, Form form, const std::shared_ptr<const WeightRows>& weights,
            Isa isa, size_t threads)
      : form(form),
        plan(MakePlan(model, isa, threads,
                      {DecideAs(model.layers[0], {form, ""}, weights, threads)})),
        arena(plan.arena_floats) {
    std::fill(arena.data(), arena.data() + arena.size(), 1.0f);
  }

  void Run(Others& others, Threads& threads) {
    const Tensor& input = plan.input;
    others.Run(arena, arena.data() + input.offset, input.channels * input.stride);
    const Clock::time_point begin = Clock::now();
    RunStep(plan.steps[0], nullptr, arena.data(), threads);
    seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
};

bool IsFasterThan(const Candidate& candidate, const Candidate& other) {
  return Median(candidate.seconds) < kFaster * Median(other.seconds) &&
         Quartile(candidate.seconds, 1) < kFaster * Quartile(other.seconds, 1);
}

// The first candidate is dense. `estimated` is the form that estimates choose.
const Candidate& Fastest(const std::vector<Candidate>& candidates, Form estimated) {
  const Candidate* standing = &candidates[0];
  for (const Candidate& candidate : candidates) {
    if (candidate.form == estimated && IsFasterThan(candidate, *standing)) standing = &candidate;
  }
  const Candidate* fastest = standing;
  for (const Candidate& candidate : candidates) {
    if (IsFasterThan(candidate, *standing) && Median(candidate.seconds) < Median(fastest->seconds))
      fastest = &candidate;
  }
  return *fastest;
}

}  // namespace

Trial TryForms(const LayerView& layer, std::shared_ptr<const WeightRows> weights, Form estimated,
               Isa isa, Threads& threads, size_t others_bytes) {
  LayerView alone = layer;
  alone.inputs = {kImage};
  const ModelView model = {alone.name,        layer.height, layer.width, layer.c_in,
                           InputLayout::kChw, {alone},      {}};
  const std::vector<FormEstimate> estimates = EstimateForms(layer, *weights, isa);
  double best = estimates[0].time;
  for (const FormEstimate& estimate : estimates) best = std::min(best, estimate.time);
  std::vector<Candidate> candidates;
  candidates.reserve(estimates.size());
  for (const FormEstimate& estimate : estimates) {
    // Dense is there whatever its estimate: it is what others are measured against.
    if (estimate.form == Form::kDense || estimate.time <= kFarBehind * best)
      candidates.emplace_back(model, estimate.form, weights, isa, threads.count());
  }

  Trial trial{Form::kDense, {}};
  if (candidates.size() > 1) {
    Others others(others_bytes, threads);
    const Clock::time_point begin = Clock::now();
    // The first round is not counted: pages and branch predictors are new to it.
    for (size_t round = 0; round <= kMostRounds; ++round) {
      if (round == 1) {
        for (Candidate& candidate : candidates) candidate.seconds.clear();
      }
      const double passed = std::chrono::duration<double>(Clock::now() - begin).count();
      if (round > kLeastRounds && passed > kEnoughSeconds) break;
      for (Candidate& candidate : candidates) candidate.Run(others, threads);
    }
    for (const Candidate& candidate : candidates) {
      trial.us[static_cast<size_t>(candidate.form)] =
          static_cast<float>(1e6 * Median(candidate.seconds));
    }
    trial.form = Fastest(candidates, estimated).form;
  }
  return trial;
}

}  // namespace sparsenas
