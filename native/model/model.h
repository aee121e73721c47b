// A loaded network: runs one image at a time, and says how long that takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/aligned.h"
#include "base/arch.h"
#include "base/parallel.h"
#include "model/plan.h"

namespace sparsenas {

// Fails unless there is at least one and not absurdly many.
void CheckThreads(size_t threads);

class Model {
 public:
  // Maps, checks and packs a model file. Fails with one line for a bad one. Large layers are shared
  // by `threads` threads, which run where the calling thread may; the best number is that of cores.
  static Model Open(const std::string& path, Isa isa, size_t threads = 1);

  // Copies the bytes first. `name` stands for the file in errors.
  static Model FromBytes(const void* bytes, size_t size, const std::string& name, Isa isa,
                         size_t threads = 1);

  const Plan& plan() const { return plan_; }

  // Computes the network's output for an image: [H, W, C], or [C, H, W] where the model's
  // input_layout is chw. `outputs` has plan().outputs floats. One caller at a time; allocates
  // nothing.
  void Run(const float* image, float* outputs);

  // Runs so often on one image and looks at no clock: for an emulator that counts instructions.
  void Repeat(size_t repeats);

  // Writes the seconds of each of `repeats` runs on one image, after a short warm-up. In and out of
  // the arena is not part of a run.
  void Measure(size_t repeats, double* seconds);

  // The same with a cold start each: whatever the level 1 and 2 caches held is pushed out before a
  // run. An outer cache may still have it.
  void MeasureCold(size_t repeats, double* seconds);

  // Writes the seconds of every layer: [repeats, layers].
  void Profile(size_t repeats, double* seconds);

 private:
  explicit Model(Plan plan);

  void LoadImage(const float* image);
  void RunSteps(const float* image);

  Plan plan_;
  AlignedArray<float> arena_;
  Threads threads_;
};

}  // namespace sparsenas
