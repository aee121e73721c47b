// Runs a model a given number of times and prints which kernel its first layer has: what
// `sparsenas bench kernels --isa neon` lets the emulator count the instructions of. What it does
// beside the runs is the same whatever their number.
//
//   sparsenas-count-runs MODEL RUNS
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "base/arch.h"
#include "base/error.h"
#include "model/model.h"

using namespace sparsenas;

int main(int argc, char** argv) {
  try {
    if (argc != 3) Fail("Usage: sparsenas-count-runs MODEL RUNS");
    const size_t runs = std::strtoul(argv[2], nullptr, 10);
    if (runs < 1 || runs > 1000) Fail("Expected 1 to 1000 runs, found '%s'.", argv[2]);
    Model model = Model::Open(argv[1], DefaultIsa());
    model.Repeat(runs);
    std::printf("%s\n", model.plan().layers[0].kernel_name);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
