#include "base/simd/arm64_neon.h"
#include "kernels/conv_hwc/generic.h"

namespace sparsenas {

void ConvHwcNeon(const ConvHwcArgs& args) { ConvHwc<F32x4>(args); }

}  // namespace sparsenas
