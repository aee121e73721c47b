#include "base/simd/arm64_neon.h"
#include "primitives/loops.h"

namespace sparsenas {

extern const Primitives kPrimitivesNeon;
constexpr Primitives kPrimitivesNeon = LoopsOf<F32x4>(Isa::kNeon);

}  // namespace sparsenas
