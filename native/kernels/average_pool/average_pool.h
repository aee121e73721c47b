// The mean of every window.
//
//   out[c, y, x] = activation(mean_{r, s} in[c, y * S + r - pad, x * S + s - pad])
//
// over the r and s in [0, K) that meet a pixel of the image, so that padding does not count (ONNX:
// count_include_pad = 0); pad is K / 2 where K is odd, else 0. CHW in and out.
#pragma once

#include "kernels/kernel.h"
#include "kernels/pool.h"

namespace sparsenas {

KernelList<PoolArgs> AveragePoolKernels();
inline const Kernel<PoolArgs>& BestAveragePool(Isa isa) { return AveragePoolKernels().Best(isa); }

}  // namespace sparsenas
