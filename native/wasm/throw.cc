// What `throw` calls. The C++ library of WebAssembly comes without exceptions: what is thrown is
// printed and ends the program, and `catch` never runs.
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>

extern "C" {

void* __cxa_allocate_exception(size_t size) noexcept { return std::malloc(size); }

// All that is thrown here derives from std::exception, first and alone.
[[noreturn]] void __cxa_throw(void* thrown, void*, void* (*)(void*)) {
  std::fprintf(stderr, "%s\n", static_cast<const std::exception*>(thrown)->what());
  std::exit(2);
}

}  // extern "C"
