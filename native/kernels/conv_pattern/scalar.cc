#include "base/simd/scalar.h"
#include "kernels/conv_pattern/generic.h"

namespace sparsenas {

void ConvPatternScalar(const ConvPatternArgs& args) { ConvPattern<F32x1>(args); }

}  // namespace sparsenas
