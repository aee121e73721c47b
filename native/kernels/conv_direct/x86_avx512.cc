#include "base/simd/x86_avx512.h"
#include "kernels/conv_direct/generic.h"

namespace sparsenas {

void ConvDirectAvx512(const ConvDirectArgs& args) { ConvDirect<F32x16>(args); }

}  // namespace sparsenas
