// How native code reports that it was given something it cannot use.
#pragma once

namespace sparsenas {

// Throws std::invalid_argument with one line, formatted like printf: what was expected, what was
// found, where, and what to do.
//
// This is the only way errors travel in native code. They are raised at the edges (packing weights,
// opening a model, choosing an instruction set); kernels themselves check nothing and never throw.
[[noreturn]] void Fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace sparsenas
