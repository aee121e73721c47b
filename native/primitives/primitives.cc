#include "primitives/primitives.h"

namespace sparsenas {

#if defined(__x86_64__)
extern const Primitives kPrimitivesAvx512, kPrimitivesAvx2;
#elif defined(__aarch64__)
extern const Primitives kPrimitivesNeon;
#endif
extern const Primitives kPrimitivesScalar;

std::vector<const Primitives*> AllPrimitives() {
  return {
#if defined(__x86_64__)
      &kPrimitivesAvx512,
      &kPrimitivesAvx2,
#elif defined(__aarch64__)
      &kPrimitivesNeon,
#endif
      &kPrimitivesScalar,
  };
}

const Primitives& BestPrimitives(Isa isa) {
  for (const Primitives* primitives : AllPrimitives())
    if (Runs(isa, primitives->isa)) return *primitives;
  return kPrimitivesScalar;
}

}  // namespace sparsenas
