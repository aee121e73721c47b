#include "base/simd/x86_avx512.h"
#include "kernels/add/generic.h"

namespace sparsenas {

void AddAvx512(const AddArgs& args) { Add<F32x16>(args); }

}  // namespace sparsenas
