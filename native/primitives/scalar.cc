#include "base/simd/scalar.h"
#include "primitives/loops.h"

namespace sparsenas {

extern const Primitives kPrimitivesScalar;
constexpr Primitives kPrimitivesScalar = LoopsOf<F32x1>(Isa::kScalar);

}  // namespace sparsenas
