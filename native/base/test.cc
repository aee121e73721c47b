#include <cstdlib>
#include <cstring>
#ifndef __wasm__
#include <chrono>
#include <thread>
#endif

#include "base/aligned.h"
#include "base/arch.h"
#include "base/build_id.h"
#include "base/parallel.h"
#include "base/peak.h"
#include "testing/check.h"

using namespace sparsenas;

namespace {

void TestIsas() {
  const auto& isas = MachineIsas();
  Expect(isas.back() == Isa::kScalar, "every machine runs scalar code last");
#if defined(__aarch64__)
  Expect(isas.front() == Isa::kNeon, "every 64-bit Arm has NEON");
#endif
  for (const Isa isa : isas) {
    Expect(ParseIsa(IsaName(isa)) == isa, "%s parses to itself", IsaName(isa));
    Expect(Runs(isas.front(), isa), "this machine runs %s", IsaName(isa));
    std::printf("%s: peak %.1f GFLOP/s\n", IsaName(isa), MeasurePeakGflops(isa));
  }
  ExpectFails("This machine has: ", [] { ParseIsa("sse9"); });
  ExpectFails("must name an instruction set, found 'sse9'", [] { ParseIsa("sse9"); });
#if defined(__x86_64__)
  ExpectFails("must name one of this machine's instruction sets, found 'neon'",
              [] { ParseIsa("neon"); });
#endif
  setenv("SPARSENAS_ISA", "scalar", 1);
  Expect(DefaultIsa() == Isa::kScalar, "SPARSENAS_ISA decides");
  setenv("SPARSENAS_ISA", "AVX", 1);
  ExpectFails("SPARSENAS_ISA", [] { DefaultIsa(); });
  unsetenv("SPARSENAS_ISA");
  Expect(DefaultIsa() == isas.front(), "the fastest is the default");
}

void TestMachine() {
  std::printf("cpu %s, %zu cores, L1D %zu, L2 %zu, build %s\n", CpuName().c_str(), CoreCount(),
              L1DataBytes(), L2Bytes(), BuildId());
  Expect(!CpuName().empty() && CoreCount() >= 1, "a machine has a name and a core");
  Expect(L1DataBytes() >= 4096 && L2Bytes() > L1DataBytes(), "caches have sizes");
  Expect(std::strlen(BuildId()) == 16, "a build id has 16 digits");
  ExpectFails("`core`", [] { PinToCore(1 << 20); });
  ExpectFails("`core`", [] { PinToCore(-1); });
}

void TestAlignedArray() {
  AlignedArray<float> array(17);
  Expect(reinterpret_cast<size_t>(array.data()) % kAlignment == 0, "arrays are aligned");
  Expect(array.size() == 17 && array[16] == 0, "arrays are zero at first");
  array[0] = 1;
  const AlignedArray<float> moved = std::move(array);
  Expect(moved[0] == 1, "arrays move");
  Expect(AlignedArray<float>(0).data() != nullptr, "empty arrays have an address");
}

void TestThreads() {
#ifdef __wasm__
  const size_t most = 1;
#else
  const size_t most = 5;
#endif
  for (size_t count = 1; count <= most; ++count) {
    Threads threads(count);
    size_t calls[5] = {};
    constexpr size_t kRounds = 2000;
    for (size_t round = 0; round < kRounds; ++round) {
      // Now and then long enough for the others to fall asleep.
#ifndef __wasm__
      if (round % 500 == 499) std::this_thread::sleep_for(std::chrono::milliseconds(2));
#endif
      threads.Run([](void* calls, size_t thread) { ++static_cast<size_t*>(calls)[thread]; }, calls);
    }
    for (size_t i = 0; i < 5; ++i)
      Expect(calls[i] == (i < count ? kRounds : 0), "thread %zu of %zu ran %zu times", i, count,
             calls[i]);
    Threads moved = std::move(threads);
    moved.Run([](void* calls, size_t) { (void)calls; }, calls);
  }
  ExpectFails("at least 1 thread", [] { Threads(0); });
}

}  // namespace

int main() {
  TestIsas();
  TestMachine();
  TestAlignedArray();
  TestThreads();
  return Report();
}
