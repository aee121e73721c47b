#include "base/simd/arm64_neon.h"
#include "kernels/add/generic.h"

namespace sparsenas {

void AddNeon(const AddArgs& args) { Add<F32x4>(args); }

}  // namespace sparsenas
