#include "base/simd/arm64_neon.h"
#include "kernels/depthwise/generic.h"

namespace sparsenas {

void DepthwiseNeon(const DepthwiseArgs& args) { Depthwise<F32x4>(args); }

}  // namespace sparsenas
