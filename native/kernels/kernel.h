// What the lists of kernels (kernels.inc of each operator) are made of.
#pragma once

#include <cstddef>

#include "base/arch.h"

namespace sparsenas {

// One implementation of an operator. `run` checks nothing.
template <class Args>
struct Kernel {
  const char* name;  // For people, "depthwise_avx512".
  Isa isa;           // What it was compiled for.
  void (*run)(const Args&);
};

// Every implementation of an operator, the fastest first. The last one is scalar, but
// for programs that go without (base/arch.h).
template <class Args>
struct KernelList {
  const Kernel<Args>* first;
  size_t size;

  const Kernel<Args>* begin() const { return first; }
  const Kernel<Args>* end() const { return first + size; }

  // The fastest that runs on `isa`.
  const Kernel<Args>& Best(Isa isa) const {
    const Kernel<Args>* kernel = first;
    while (!Runs(isa, kernel->isa)) ++kernel;
    return *kernel;
  }
};

}  // namespace sparsenas
