# The instruction sets to compile for, as the suffixes of files, and the flags of each. Machines are
# asked what they have when the program runs (base/arch.h).
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(SPARSENAS_ISAS x86_avx512 x86_avx2 scalar)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
  set(SPARSENAS_ISAS arm64_neon scalar)
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "wasm32" AND SPARSENAS_WASM_RELAXED)
  set(SPARSENAS_ISAS wasm_relaxed scalar)
  add_compile_definitions(SPARSENAS_WASM_RELAXED)
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "wasm32")
  set(SPARSENAS_ISAS wasm128 scalar)
else()
  set(SPARSENAS_ISAS scalar)
endif()
# -O3 whatever the build type: at -O2, g++ 12 keeps arrays of vectors in memory, three times slower.
# Under the sanitizers that, and a check of every pointer beside that of its address, would take the
# compiler a quarter of an hour.
if(SPARSENAS_SANITIZE)
  set(speed -O1 -fno-sanitize=null,alignment,object-size,pointer-overflow)
else()
  set(speed -O3)
endif()
# What is pushed to a device is small. All arm64 devices have NEON: scalar kernels are for tests there.
set(SPARSENAS_SMALL OFF)
if(CMAKE_CROSSCOMPILING AND CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  set(SPARSENAS_SMALL ON)
endif()
set(SPARSENAS_FLAGS_scalar ${speed})
set(SPARSENAS_FLAGS_arm64_neon ${speed})
if(SPARSENAS_SMALL)
  # No exception passes through a kernel.
  set(plain -fno-exceptions -fno-asynchronous-unwind-tables -fno-unwind-tables)
  set(SPARSENAS_FLAGS_scalar -Os ${plain})
  list(APPEND SPARSENAS_FLAGS_arm64_neon ${plain})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")  # Undoes what is below for kernels, of which -O2 is made.
    list(APPEND SPARSENAS_FLAGS_arm64_neon -Xclang -O2 -fno-lto)
  endif()
endif()
set(SPARSENAS_FLAGS_wasm128 ${speed} -msimd128)
set(SPARSENAS_FLAGS_wasm_relaxed ${speed} -msimd128 -mrelaxed-simd)
set(SPARSENAS_FLAGS_x86_avx2 ${speed} -mavx2 -mfma)
set(SPARSENAS_FLAGS_x86_avx512 ${speed} -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # Its AVX-512 intrinsics begin with registers left undefined on purpose, and it warns of them:
  # https://gcc.gnu.org/bugzilla/show_bug.cgi?id=105593
  list(APPEND SPARSENAS_FLAGS_x86_avx512 -Wno-uninitialized -Wno-maybe-uninitialized)
endif()

# All but the kernels for size, without what nothing calls and the types of functions that nothing asks for.
if(SPARSENAS_SMALL)
  add_compile_options(
    -Os -ffunction-sections -fdata-sections -fno-rtti -fno-asynchronous-unwind-tables)
  add_link_options(-Wl,--gc-sections)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # What is linked is compiled as a whole, and runs of instructions that it has many times become
    # functions: 70 KB less. (zig makes -Os of -Oz and -O2 of -O3; what follows -Xclang it leaves.)
    add_compile_options(-flto "SHELL:-Xclang -Oz")
    add_link_options(-flto)
  endif()
endif()
