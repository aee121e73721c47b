# Cross-compiles for any x86-64 Linux: static binaries, made by the Python package ziglang, for
# devices that cannot compile.
#
#   cmake -S native -B build/x86_64 -G Ninja -DCMAKE_TOOLCHAIN_FILE=cmake/zig-x86_64.cmake
#
# (CMake takes the path relative to the folder after -S.)
#
# The first build also makes zig's C++ library, which takes minutes; keep its cache
# (ZIG_GLOBAL_CACHE_DIR, by default in the home directory).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER ${CMAKE_CURRENT_LIST_DIR}/zig-cc)
set(CMAKE_CXX_COMPILER ${CMAKE_CURRENT_LIST_DIR}/zig-c++)
set(CMAKE_C_COMPILER_TARGET x86_64-linux-musl)
set(CMAKE_CXX_COMPILER_TARGET x86_64-linux-musl)
set(CMAKE_AR ${CMAKE_CURRENT_LIST_DIR}/zig-ar)
set(CMAKE_RANLIB ${CMAKE_CURRENT_LIST_DIR}/zig-ranlib)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
