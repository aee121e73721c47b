#include "base/simd/x86_avx512.h"
#include "primitives/loops.h"

namespace sparsenas {

extern const Primitives kPrimitivesAvx512;
constexpr Primitives kPrimitivesAvx512 = LoopsOf<F32x16>(Isa::kAvx512);

}  // namespace sparsenas
