#include "base/simd/scalar.h"
#include "kernels/conv_direct/generic.h"

namespace sparsenas {

void ConvDirectScalar(const ConvDirectArgs& args) { ConvDirect<F32x1>(args); }

}  // namespace sparsenas
