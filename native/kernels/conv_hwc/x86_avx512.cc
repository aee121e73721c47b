#include "base/simd/x86_avx512.h"
#include "kernels/conv_hwc/generic.h"

namespace sparsenas {

void ConvHwcAvx512(const ConvHwcArgs& args) { ConvHwc<F32x16>(args); }

}  // namespace sparsenas
