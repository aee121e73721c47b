#include "base/simd/scalar.h"
#include "kernels/add/generic.h"

namespace sparsenas {

void AddScalar(const AddArgs& args) { Add<F32x1>(args); }

}  // namespace sparsenas
