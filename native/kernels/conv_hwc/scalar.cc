#include "base/simd/scalar.h"
#include "kernels/conv_hwc/generic.h"

namespace sparsenas {

void ConvHwcScalar(const ConvHwcArgs& args) { ConvHwc<F32x1>(args); }

}  // namespace sparsenas
