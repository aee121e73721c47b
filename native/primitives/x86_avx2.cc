#include "base/simd/x86_avx2.h"
#include "primitives/loops.h"

namespace sparsenas {

extern const Primitives kPrimitivesAvx2;
constexpr Primitives kPrimitivesAvx2 = LoopsOf<F32x8>(Isa::kAvx2);

}  // namespace sparsenas
