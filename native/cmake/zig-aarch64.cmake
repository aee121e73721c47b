# Cross-compiles for any 64-bit Arm Linux or Android: static binaries, made by the Python package
# ziglang, tested here through qemu-aarch64 (Debian: qemu-user).
#
#   cmake -S native -B build/arm64 -G Ninja -DCMAKE_TOOLCHAIN_FILE=cmake/zig-aarch64.cmake
#
# (CMake takes the path relative to the folder after -S.)
#
# The first build also makes zig's C++ library, which takes minutes; keep its cache
# (ZIG_GLOBAL_CACHE_DIR, by default in the home directory).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER ${CMAKE_CURRENT_LIST_DIR}/zig-cc)
set(CMAKE_CXX_COMPILER ${CMAKE_CURRENT_LIST_DIR}/zig-c++)
set(CMAKE_C_COMPILER_TARGET aarch64-linux-musl)
set(CMAKE_CXX_COMPILER_TARGET aarch64-linux-musl)
set(CMAKE_AR ${CMAKE_CURRENT_LIST_DIR}/zig-ar)
set(CMAKE_RANLIB ${CMAKE_CURRENT_LIST_DIR}/zig-ranlib)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)
