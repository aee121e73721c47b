#include "base/simd/arm64_neon.h"
#include "kernels/conv_direct/generic.h"

namespace sparsenas {

void ConvDirectNeon(const ConvDirectArgs& args) { ConvDirect<F32x4>(args); }

}  // namespace sparsenas
