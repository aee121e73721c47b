// Packed weights as the numbers and arrays that a model file keeps of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <vector>

#include "base/aligned.h"
#include "model/format.h"

namespace sparsenas {

struct PackedField {
  uint64_t number;   // The size itself, or elements of the array.
  const void* data;  // The array, null for a size.
  size_t bytes;
};
using PackedFields = std::vector<PackedField>;

// Numbers of a part's weights in the file: one for a size, two for an array.
constexpr size_t kPackedNumbers = 23;

inline constexpr size_t NumbersOf(const size_t*) { return 1; }
template <class T>
constexpr size_t NumbersOf(const AlignedArray<T>*) {
  return 2;
}
template <class... Field>
constexpr size_t NumbersOf(const std::tuple<Field&...>*) {
  return (size_t{0} + ... + NumbersOf(static_cast<const Field*>(nullptr)));
}

inline PackedField FieldOf(size_t size) { return {size, nullptr, 0}; }
template <class T>
PackedField FieldOf(const AlignedArray<T>& array) {
  return {array.size(), array.data(), array.bytes()};
}

// Points into `weights`.
template <class Weights>
PackedFields FieldsOf(const Weights& weights) {
  using Fields = decltype(Weights::Fields(weights));
  static_assert(NumbersOf(static_cast<const Fields*>(nullptr)) <= kPackedNumbers);
  return std::apply([](const auto&... field) { return PackedFields{FieldOf(field)...}; },
                    Weights::Fields(weights));
}

// Reads the numbers of one part and lets arrays be where they lie in the file.
class PackedReader {
 public:
  // `at` is where the numbers begin, all of which are inside the file.
  PackedReader(const ModelView& model, size_t at) : model_(model) {
    std::memcpy(numbers_, model.bytes + at, sizeof numbers_);
  }

  // Returns what is wrong, null where nothing is. FlawOf says whether the weights are sound.
  template <class Weights>
  const char* Read(Weights* weights) {
    std::apply([&](auto&... field) { (Take(&field), ...); }, Weights::Fields(*weights));
    while (flaw_ == nullptr && next_ < kPackedNumbers) {
      if (numbers_[next_++] != 0) flaw_ = "numbers that mean nothing";
    }
    return flaw_;
  }

 private:
  void Take(size_t* size) {
    const uint64_t number = numbers_[next_++];
    // As no size of a layer is: sums and products of a few do not wrap.
    if (number > UINT32_MAX) flaw_ = "sizes of another layer";
    *size = static_cast<size_t>(number);
  }

  template <class T>
  void Take(AlignedArray<T>* array) {
    static_assert(kAlignment % alignof(T) == 0);
    const uint64_t offset = numbers_[next_++], elements = numbers_[next_++];
    // Whole lines, as AlignedArray has them. Files end with one.
    if (offset % kAlignment != 0 || offset < model_.tuning || offset > model_.size ||
        elements > (model_.size - offset) / kAlignment * kAlignment / sizeof(T)) {
      flaw_ = "an array outside the file";
      return;
    }
    *array = AlignedArray<T>::Borrow(reinterpret_cast<const T*>(model_.bytes + offset),
                                     static_cast<size_t>(elements));
  }

  const ModelView& model_;
  uint64_t numbers_[kPackedNumbers];
  size_t next_ = 0;
  const char* flaw_ = nullptr;
};

}  // namespace sparsenas
