// Arrays between two pages that nothing may touch, so that an access out of bounds ends the test.
//
// WebAssembly has no pages to protect: there a write out of bounds is found when the array goes,
// and what is read there is NaN.
#pragma once

#if !defined(__wasm__)
#include <sys/mman.h>
#include <unistd.h>
#endif

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/aligned.h"

namespace sparsenas {

// Which guard page the array touches. An array is only next to one: tests run with each.
enum class Guard { kBefore, kAfter };

// `size` elements, each byte 0xFF at first: floats are NaN until they are written.
template <class T>
class GuardedArray {
 public:
#if defined(__wasm__)
  GuardedArray(size_t size, Guard) : size_(size) {
    mapped_ = RoundUp(size * sizeof(T), kAlignment) + 2 * kFence;
    memory_ = std::aligned_alloc(kAlignment, mapped_);
    if (memory_ == nullptr) std::abort();
    std::memset(memory_, 0xFF, mapped_);
    data_ = reinterpret_cast<T*>(static_cast<char*>(memory_) + kFence);
  }
  ~GuardedArray() {
    const unsigned char* bytes = static_cast<const unsigned char*>(memory_);
    for (size_t i = 0; i < mapped_; ++i) {
      if (i == kFence) i += size_ * sizeof(T);
      if (bytes[i] == 0xFF) continue;
      std::fprintf(stderr, "FAILED: a write %zd bytes from the beginning of an array of %zu.\n",
                   static_cast<ptrdiff_t>(i) - static_cast<ptrdiff_t>(kFence), size_ * sizeof(T));
      std::abort();
    }
    std::free(memory_);
  }
#else
  GuardedArray(size_t size, Guard guard) : size_(size) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t bytes = size * sizeof(T);
    const size_t inside = RoundUp(bytes + (bytes == 0), page);
    mapped_ = inside + 2 * page;
    void* memory = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char* first = static_cast<char*>(memory) + page;
    if (memory == MAP_FAILED || mprotect(first, inside, PROT_READ | PROT_WRITE) != 0) {
      std::perror("mmap");
      std::abort();
    }
    std::memset(first, 0xFF, inside);
    memory_ = memory;
    data_ = reinterpret_cast<T*>(guard == Guard::kBefore ? first : first + inside - bytes);
  }
  ~GuardedArray() { munmap(memory_, mapped_); }
#endif
  GuardedArray(const T* values, size_t size, Guard guard) : GuardedArray(size, guard) {
    if (size > 0) std::memcpy(data_, values, size * sizeof(T));
  }
  GuardedArray(const AlignedArray<T>& array, Guard guard)
      : GuardedArray(array.data(), array.size(), guard) {}
  GuardedArray(const GuardedArray&) = delete;
  GuardedArray& operator=(const GuardedArray&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
#if defined(__wasm__)
  static constexpr size_t kFence = 1024;  // Bytes on either side.
#endif
  size_t size_;
  size_t mapped_;
  void* memory_;
  T* data_;
};

}  // namespace sparsenas
