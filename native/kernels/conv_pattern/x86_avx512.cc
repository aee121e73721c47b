#include "base/simd/x86_avx512.h"
#include "kernels/conv_pattern/generic.h"

namespace sparsenas {

void ConvPatternAvx512(const ConvPatternArgs& args) { ConvPattern<F32x16>(args); }

}  // namespace sparsenas
