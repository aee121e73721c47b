// What this machine can run: instruction sets, caches, cores.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace sparsenas {

enum class Isa { kScalar, kAvx2, kAvx512, kNeon, kWasm128, kWasmRelaxed };

// "scalar", "avx2" (with FMA), "avx512" (F, DQ, BW, VL), "neon", "wasm128" (WebAssembly SIMD) or
// "wasm_relaxed" (with relaxed multiply-adds).
const char* IsaName(Isa isa);

// Floats in one vector of `isa`.
constexpr size_t IsaLanes(Isa isa) {
  return isa == Isa::kScalar ? 1 : isa == Isa::kAvx512 ? 16 : isa == Isa::kAvx2 ? 8 : 4;
}

// Whether a machine that has `machine` runs code compiled for `code`.
constexpr bool Runs(Isa machine, Isa code) {
  return code == machine || code == Isa::kScalar || (machine == Isa::kAvx512 && code == Isa::kAvx2);
}

// The instruction sets of this machine, the fastest first, `kScalar` last. A program for arm64
// devices, which all have NEON, goes without scalar code where SPARSENAS_WITHOUT_SCALAR is defined.
const std::vector<Isa>& MachineIsas();

// The instruction set called `name`; Fails if there is none or if this machine lacks it, listing
// those it has. `source` says where the name came from.
Isa ParseIsa(const std::string& name, const char* source = "`isa`");

// The fastest instruction set of this machine, unless the environment variable SPARSENAS_ISA names
// another one.
Isa DefaultIsa();

// What the operating system calls the processor.
std::string CpuName();

// Bytes of one core's level 1 data cache and level 2 cache; an estimate where unknown.
size_t L1DataBytes();
size_t L2Bytes();

// Cores this process may run on.
size_t CoreCount();

// Keeps the calling thread on one core; Fails if it may not run there.
void PinToCore(int core);

}  // namespace sparsenas
