#include "base/simd/x86_avx2.h"
#include "kernels/depthwise/generic.h"

namespace sparsenas {

void DepthwiseAvx2(const DepthwiseArgs& args) { Depthwise<F32x8>(args); }

}  // namespace sparsenas
