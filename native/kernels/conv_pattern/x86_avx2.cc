#include "base/simd/x86_avx2.h"
#include "kernels/conv_pattern/generic.h"

namespace sparsenas {

void ConvPatternAvx2(const ConvPatternArgs& args) { ConvPattern<F32x8>(args); }

}  // namespace sparsenas
