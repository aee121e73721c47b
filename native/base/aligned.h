// Arrays whose first element lies at the start of a cache line.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

namespace sparsenas {

// Of cache lines, and of the base of every tensor and packed array.
constexpr size_t kAlignment = 64;

constexpr size_t RoundUp(size_t x, size_t multiple) {
  return (x + multiple - 1) / multiple * multiple;
}
constexpr size_t CeilDiv(size_t x, size_t y) { return (x + y - 1) / y; }

// A fixed number of elements, zero at first, or those that lie somewhere else. Throws
// std::bad_alloc.
template <class T>
class AlignedArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedArray() = default;
  explicit AlignedArray(size_t size) : size_(size) {
    if (size > (static_cast<size_t>(-1) - kAlignment) / sizeof(T)) throw std::bad_alloc();
    // std::aligned_alloc wants a multiple of the alignment; at least one line so that an empty
    // array has an address too.
    const size_t bytes = RoundUp(size * sizeof(T) + (size == 0), kAlignment);
    data_ = static_cast<T*>(std::aligned_alloc(kAlignment, bytes));
    if (data_ == nullptr) throw std::bad_alloc();
    std::memset(static_cast<void*>(data_), 0, bytes);
  }
  // A view of `size` elements, which stay where they are and outlive it; nobody may write to them.
  // As with an array of its own, whole cache lines of them may be read.
  static AlignedArray Borrow(const T* data, size_t size) {
    AlignedArray view;
    view.data_ = const_cast<T*>(data);
    view.size_ = size;
    view.owned_ = false;
    return view;
  }

  AlignedArray(AlignedArray&& other) noexcept { *this = std::move(other); }
  AlignedArray& operator=(AlignedArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(owned_, other.owned_);
    return *this;
  }
  ~AlignedArray() {
    if (owned_) std::free(data_);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  size_t bytes() const { return size_ * sizeof(T); }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
  bool owned_ = true;
};

}  // namespace sparsenas
