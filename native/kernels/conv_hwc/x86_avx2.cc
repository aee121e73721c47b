#include "base/simd/x86_avx2.h"
#include "kernels/conv_hwc/generic.h"

namespace sparsenas {

void ConvHwcAvx2(const ConvHwcArgs& args) { ConvHwc<F32x8>(args); }

}  // namespace sparsenas
