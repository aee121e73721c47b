#include "base/simd/x86_avx2.h"
#include "kernels/conv_direct/generic.h"

namespace sparsenas {

void ConvDirectAvx2(const ConvDirectArgs& args) { ConvDirect<F32x8>(args); }

}  // namespace sparsenas
