#include "base/simd/x86_avx2.h"
#include "kernels/add/generic.h"

namespace sparsenas {

void AddAvx2(const AddArgs& args) { Add<F32x8>(args); }

}  // namespace sparsenas
