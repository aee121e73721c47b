#include "base/arch.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif
#if !defined(__wasm__)
#include <thread>
#endif

#include "base/error.h"

namespace sparsenas {
namespace {

constexpr Isa kAllIsas[] = {Isa::kAvx512,      Isa::kAvx2,    Isa::kNeon,
                            Isa::kWasmRelaxed, Isa::kWasm128, Isa::kScalar};

// The first line of a file; empty if it cannot be read.
std::string FirstLine(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "r");
  if (file == nullptr) return "";
  char line[256];
  const bool read = std::fgets(line, sizeof line, file) != nullptr;
  std::fclose(file);
  return read ? std::string(line, std::strcspn(line, "\n")) : "";
}

#if defined(__x86_64__)
constexpr bool Bit(uint32_t word, int bit) { return (word >> bit & 1) != 0; }

// __builtin_cpu_supports needs a part of libgcc that clang's own runtime (zig) does not have, so
// this asks the processor: Intel's manual, volume 1, 14.3 and 15.2.
std::vector<Isa> FindIsas() {
  std::vector<Isa> isas = {Isa::kScalar};
  uint32_t a, b, c, d;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return isas;
  const bool fma = Bit(c, 12), xgetbv = Bit(c, 27), avx = Bit(c, 28);
  if (!fma || !xgetbv || !avx) return isas;
  // What the operating system saves and restores: 1 and 2 are xmm and ymm; 5 to 7 are masks and
  // zmm.
  uint32_t saved, high;
  __asm__ volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
  if ((saved & 0x06) != 0x06) return isas;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return isas;
  const bool avx2 = Bit(b, 5);
  if (!avx2) return isas;
  isas.insert(isas.begin(), Isa::kAvx2);
  const bool f = Bit(b, 16), dq = Bit(b, 17), bw = Bit(b, 30), vl = Bit(b, 31);
  if (f && dq && bw && vl && (saved & 0xE0) == 0xE0) isas.insert(isas.begin(), Isa::kAvx512);
  return isas;
}

// The name the processor gives itself.
std::string FindCpuName() {
  uint32_t words[12];
  if (__get_cpuid_max(0x80000000, nullptr) < 0x80000004) return "unknown x86-64";
  for (uint32_t i = 0; i < 3; ++i)
    __get_cpuid(0x80000002 + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2],
                &words[4 * i + 3]);
  char name[sizeof(words) + 1] = {};
  std::memcpy(name, words, sizeof(words));
  const std::string text = name;
  const size_t first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "unknown x86-64";
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}
#elif defined(__aarch64__)
#if defined(SPARSENAS_WITHOUT_SCALAR)
std::vector<Isa> FindIsas() { return {Isa::kNeon}; }
#else
std::vector<Isa> FindIsas() { return {Isa::kNeon, Isa::kScalar}; }
#endif

// Arm processors have numbers only; the first core's, from Linux.
std::string FindCpuName() {
  const std::string midr = FirstLine("/sys/devices/system/cpu/cpu0/regs/identification/midr_el1");
  return midr.empty() ? "unknown arm64" : "arm64 " + midr;
}
#elif defined(__wasm__)
// A module is refused as a whole by an engine that lacks any of its instructions: what was compiled
// is what there is.
#if defined(SPARSENAS_WASM_RELAXED)
std::vector<Isa> FindIsas() { return {Isa::kWasmRelaxed, Isa::kScalar}; }
#else
std::vector<Isa> FindIsas() { return {Isa::kWasm128, Isa::kScalar}; }
#endif
std::string FindCpuName() { return "WebAssembly"; }
#else
std::vector<Isa> FindIsas() { return {Isa::kScalar}; }
std::string FindCpuName() { return "unknown"; }
#endif

std::string IsaNames(const std::vector<Isa>& isas) {
  std::string names;
  for (const Isa isa : isas) names += (names.empty() ? "" : ", ") + std::string(IsaName(isa));
  return names;
}

// Bytes of the first core's cache of a level, instructions excepted; `otherwise` where the
// operating system does not say.
size_t CacheBytes(const char* level, size_t otherwise) {
  for (int i = 0; i < 8; ++i) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i) + "/";
    if (FirstLine(folder + "level") != level || FirstLine(folder + "type") == "Instruction")
      continue;
    const std::string size = FirstLine(folder + "size");  // "48K"
    const size_t kibibytes = std::strtoul(size.c_str(), nullptr, 10);
    if (kibibytes > 0 && size.back() == 'K') return kibibytes * 1024;
  }
  return otherwise;
}

}  // namespace

const char* IsaName(Isa isa) {
  switch (isa) {
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kNeon:
      return "neon";
    case Isa::kWasm128:
      return "wasm128";
    case Isa::kWasmRelaxed:
      return "wasm_relaxed";
    case Isa::kScalar:
      break;
  }
  return "scalar";
}

const std::vector<Isa>& MachineIsas() {
  static const std::vector<Isa> isas = FindIsas();
  return isas;
}

Isa ParseIsa(const std::string& name, const char* source) {
  for (const Isa isa : MachineIsas())
    if (name == IsaName(isa)) return isa;
  bool known = false;
  for (const Isa isa : kAllIsas) known |= name == IsaName(isa);
  Fail("%s must name %s, found '%s'. This machine has: %s.", source,
       known ? "one of this machine's instruction sets" : "an instruction set", name.c_str(),
       IsaNames(MachineIsas()).c_str());
}

Isa DefaultIsa() {
  const char* name = std::getenv("SPARSENAS_ISA");
  if (name == nullptr || *name == '\0') return MachineIsas().front();
  return ParseIsa(name, "The environment variable SPARSENAS_ISA");
}

std::string CpuName() {
  static const std::string name = FindCpuName();
  return name;
}

// 32 KiB and 256 KiB: what even small application cores have.
size_t L1DataBytes() {
  static const size_t bytes = CacheBytes("1", 32 << 10);
  return bytes;
}

size_t L2Bytes() {
  static const size_t bytes = CacheBytes("2", 256 << 10);
  return bytes;
}

#if defined(__linux__)
size_t CoreCount() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0) return std::thread::hardware_concurrency();
  return static_cast<size_t>(CPU_COUNT(&cores));
}

void PinToCore(int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (core >= 0 && core < CPU_SETSIZE) CPU_SET(core, &cores);
  if (sched_setaffinity(0, sizeof(cores), &cores) != 0)
    Fail("`core` must be a core this process may run on, found %d (%s).", core,
         std::strerror(errno));
}
#else
#if defined(__wasm__)
size_t CoreCount() { return 1; }
#else
size_t CoreCount() { return std::thread::hardware_concurrency(); }
#endif

void PinToCore(int core) {
  Fail("Threads can be kept on a core on Linux only (`core` %d); leave it out.", core);
}
#endif

}  // namespace sparsenas
