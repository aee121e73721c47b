# Cross-compiles to WebAssembly with SIMD, made by the Python package ziglang, tested here through
# node (20 or newer).
#
#   cmake -S native -B build/wasm -G Ninja -DCMAKE_TOOLCHAIN_FILE=cmake/zig-wasm32.cmake
#
# (CMake takes the path relative to the folder after -S.) With -DSPARSENAS_WASM_RELAXED=ON the
# module uses relaxed SIMD, which not every engine has.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_C_COMPILER ${CMAKE_CURRENT_LIST_DIR}/zig-cc)
set(CMAKE_CXX_COMPILER ${CMAKE_CURRENT_LIST_DIR}/zig-c++)
set(CMAKE_C_COMPILER_TARGET wasm32-wasi)
set(CMAKE_CXX_COMPILER_TARGET wasm32-wasi)
set(CMAKE_AR ${CMAKE_CURRENT_LIST_DIR}/zig-ar)
set(CMAKE_RANLIB ${CMAKE_CURRENT_LIST_DIR}/zig-ranlib)
set(CMAKE_EXECUTABLE_SUFFIX_CXX .wasm)
# WASI maps no files; its C library reads them into memory where a program asks for a mapping.
set(CMAKE_CXX_FLAGS_INIT -D_WASI_EMULATED_MMAN)
set(CMAKE_CXX_STANDARD_LIBRARIES_INIT -lwasi-emulated-mman)
# Guards the stack's end and gives tests' arrays room.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-z,stack-size=1048576")
set(CMAKE_CROSSCOMPILING_EMULATOR node --no-warnings ${CMAKE_CURRENT_LIST_DIR}/../wasm/run.mjs)
