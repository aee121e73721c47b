// The most floating-point operations a core can do: what kernels are compared with.
#pragma once

#include "base/arch.h"

namespace sparsenas {

// Measures 1e9 operations per second of fused multiply-adds in registers (2 operations a lane) on
// the calling thread's core, the best of several runs; takes about 20 ms.
double MeasurePeakGflops(Isa isa);

}  // namespace sparsenas
