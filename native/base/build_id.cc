#include "base/build_id.h"

namespace sparsenas {

const char* BuildId() { return SPARSENAS_BUILD_ID; }

}  // namespace sparsenas
