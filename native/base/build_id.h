// Which native sources this binary was built from.
#pragma once

namespace sparsenas {

// The first 16 hexadecimal digits of a SHA-256 over all native sources. Measured latencies are kept
// under it: other sources may mean other speeds.
const char* BuildId();

}  // namespace sparsenas
