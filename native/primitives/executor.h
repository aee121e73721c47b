// Who computes the parts of a primitive.
#pragma once

#include <cstddef>
#include <functional>

namespace sparsenas {

class Executor {
 public:
  virtual ~Executor() = default;
  // Calls work(i) for every i in [0, count), several at a time and in any order, and returns when
  // all have returned. What each computes is the same whoever computes it, so that results do not
  // depend on the number of threads.
  virtual void Run(size_t count, const std::function<void(size_t)>& work) = 0;
};

// All of them one after the other.
class Alone : public Executor {
 public:
  void Run(size_t count, const std::function<void(size_t)>& work) override {
    for (size_t i = 0; i < count; ++i) work(i);
  }
};

}  // namespace sparsenas
