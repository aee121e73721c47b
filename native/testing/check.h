// What the tests of the kernels share: random numbers, exact sums, and counting what failed.
#pragma once

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/arch.h"
#include "kernels/activation.h"
#include "kernels/kernel.h"
#include "kernels/sparse_rows.h"

namespace sparsenas {

// Failures so far. A test's main returns `Report()`.
inline int g_failures = 0;

[[gnu::format(printf, 2, 3)]] inline void Expect(bool condition, const char* format, ...) {
  if (condition) return;
  // The first few tell what is wrong.
  if (++g_failures > 10) return;
  va_list arguments;
  va_start(arguments, format);
  std::printf("FAILED: ");
  std::vprintf(format, arguments);
  std::printf("\n");
  va_end(arguments);
}

inline void Expect(bool condition, const std::string& what) {
  Expect(condition, "%s", what.c_str());
}

// Expects that `action` throws std::invalid_argument with `part` in its message.
template <class Action>
void ExpectFails(const char* part, Action action) {
#if defined(__wasm__)
  // Errors end the program (wasm/throw.cc); what raises them is the same on every machine.
  (void)part, (void)action;
#else
  try {
    action();
    Expect(false, "expected an error with '%s', found none", part);
  } catch (const std::invalid_argument& error) {
    Expect(std::string(error.what()).find(part) != std::string::npos,
           "expected an error with '%s', found '%s'", part, error.what());
  }
#endif
}

inline int Report() {
  std::printf("%s\n", g_failures == 0 ? "ok" : "FAILED");
  return g_failures == 0 ? 0 : 1;
}

// Calls test(kernel) for each kernel this machine runs and says which those were. Every instruction
// set is to have a kernel of its own.
template <class Args, class Test>
void ForEachKernel(const KernelList<Args>& kernels, Test test) {
  for (const Isa isa : MachineIsas())
    Expect(kernels.Best(isa).isa == isa, "expected a kernel for %s, found %s", IsaName(isa),
           kernels.Best(isa).name);
  for (const Kernel<Args>& kernel : kernels) {
    if (!Runs(MachineIsas().front(), kernel.isa)) {
      std::printf("%s: skipped, this machine has no %s\n", kernel.name, IsaName(kernel.isa));
      continue;
    }
    const int before = g_failures;
    test(kernel);
    std::printf("%s: %s\n", kernel.name, g_failures == before ? "ok" : "FAILED");
  }
}

// The formulas of kernels/activation.h.
inline double Activate(double x, Activation activation) {
  const double gate = std::fmin(std::fmax(x + 3, 0), 6) / 6;
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return std::fmax(x, 0);
    case Activation::kRelu6:
      return std::fmin(std::fmax(x, 0), 6);
    case Activation::kHardSwish:
      return x * gate;
    case Activation::kSwish:
      return x / (1 + std::exp(-x));
    case Activation::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::kHardSigmoid:
      return gate;
  }
  return std::nan("");
}

// A sum in double precision with a bound on what single precision may make of it.
struct ExactSum {
  double value = 0, magnitude = 0;
  size_t terms = 0;

  void Add(double x) {
    value += x;
    magnitude += std::fabs(x);
    ++terms;
  }
  // Each of n products and additions in any order is off by at most half a unit in the last place
  // of what it is part of: Higham, Accuracy and Stability of Numerical Algorithms, 3.1.
  double Tolerance() const { return static_cast<double>(terms + 2) * 1.2e-7 * magnitude; }
  // Whether `got` is this sum after the activation. No activation is steeper than 1.5, and the
  // curves' own error is below 1e-6 of the value.
  bool Matches(float got, Activation activation) const {
    const double want = Activate(value, activation);
    const double curve = ActivationOf(activation).curve == Activation::kNone ? 0 : 1e-6;
    return std::fabs(got - want) <= 1.5 * Tolerance() + curve * std::fabs(want);  // False for NaN.
  }
  bool Matches(float got, Clamp clamp) const {
    const double want = std::fmin(std::fmax(value, clamp.low), clamp.high);
    return std::fabs(got - want) <= Tolerance();  // False for NaN.
  }
};

using Random = std::mt19937;

inline std::vector<float> RandomFloats(size_t size, Random& random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

// A random sparse matrix and the arrays it is made of.
struct RandomSparse {
  std::vector<uint32_t> counts, column;
  std::vector<float> value;
  SparseRows rows;

  // `density` 0 is no nonzeros; `one` is a single one in the middle of the matrix, whatever the
  // density. Every third row is empty unless all are full.
  RandomSparse(size_t d, size_t c, double density, bool one, Random& random) {
    std::normal_distribution<float> normal;
    std::bernoulli_distribution keep(density);
    for (size_t i = 0; i < d; ++i) {
      counts.push_back(0);
      for (size_t j = 0; j < c; ++j) {
        const bool kept =
            one ? i == d / 2 && j == c / 2 : density >= 1 || (i % 3 != 1 && keep(random));
        if (!kept) continue;
        ++counts.back();
        column.push_back(static_cast<uint32_t>(j));
        value.push_back(normal(random));
      }
    }
    rows = {d, c, value.size(), counts.data(), column.data(), value.data()};
  }
  RandomSparse(const RandomSparse&) = delete;
  RandomSparse& operator=(const RandomSparse&) = delete;
};

// All of them; the first three are clamps.
constexpr Activation kActivations[] = {
    Activation::kNone,  Activation::kRelu,    Activation::kRelu6,      Activation::kHardSwish,
    Activation::kSwish, Activation::kSigmoid, Activation::kHardSigmoid};

}  // namespace sparsenas
