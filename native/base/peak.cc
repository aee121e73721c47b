#include "base/peak.h"

#include <algorithm>
#include <chrono>

#include "base/peak_generic.h"

namespace sparsenas {

float MultiplyAddScalar(size_t n, float x, float y);
float MultiplyAddAvx2(size_t n, float x, float y);
float MultiplyAddAvx512(size_t n, float x, float y);
float MultiplyAddNeon(size_t n, float x, float y);
float MultiplyAddWasm128(size_t n, float x, float y);
float MultiplyAddWasmRelaxed(size_t n, float x, float y);

namespace {

using Loop = float (*)(size_t n, float x, float y);

Loop LoopOf(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return MultiplyAddAvx512;
  if (isa == Isa::kAvx2) return MultiplyAddAvx2;
#elif defined(__aarch64__)
  if (isa == Isa::kNeon) return MultiplyAddNeon;
#elif defined(SPARSENAS_WASM_RELAXED)
  if (isa == Isa::kWasmRelaxed) return MultiplyAddWasmRelaxed;
#elif defined(__wasm__)
  if (isa == Isa::kWasm128) return MultiplyAddWasm128;
#endif
  (void)isa;
#if defined(SPARSENAS_WITHOUT_SCALAR)
  return nullptr;  // For an instruction set that the program does not have.
#else
  return MultiplyAddScalar;
#endif
}

}  // namespace

double MeasurePeakGflops(Isa isa) {
  using Clock = std::chrono::steady_clock;
  // About 0.1 ms each: short enough to fall between interruptions, long enough for the clock.
  constexpr size_t kSteps = 100000;
  constexpr double kEnough = 0.02;
  const Loop loop = LoopOf(isa);
  double best = 1e9, spent = 0;
  volatile float sink = 0.5f;
  while (spent < kEnough) {
    const Clock::time_point start = Clock::now();
    sink = loop(kSteps, 0.5f, sink);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds);
    spent += seconds;
  }
  return 2.0 * kPeakChains * static_cast<double>(IsaLanes(isa)) * kSteps / best / 1e9;
}

}  // namespace sparsenas
