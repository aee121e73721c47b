#include "base/simd/arm64_neon.h"
#include "kernels/conv_pattern/generic.h"

namespace sparsenas {

void ConvPatternNeon(const ConvPatternArgs& args) { ConvPattern<F32x4>(args); }

}  // namespace sparsenas
