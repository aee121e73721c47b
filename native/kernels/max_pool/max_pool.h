// The largest pixel of every window.
//
//   out[c, y, x] = activation(max_{r, s} in[c, y * S + r - pad, x * S + s - pad])
//
// over the r and s in [0, K) that meet a pixel of the image; pad is K / 2 where K is odd, else 0.
// CHW in and out.
#pragma once

#include "kernels/kernel.h"
#include "kernels/pool.h"

namespace sparsenas {

KernelList<PoolArgs> MaxPoolKernels();
inline const Kernel<PoolArgs>& BestMaxPool(Isa isa) { return MaxPoolKernels().Best(isa); }

}  // namespace sparsenas
