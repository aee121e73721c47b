// The primitives of training as foreign functions of XLA (jax.ffi).
#pragma once

#include <pybind11/pybind11.h>

namespace sparsenas {

// Name -> capsule that jax.ffi.register_ffi_target takes.
pybind11::dict PrimitiveCapsules();

}  // namespace sparsenas
