// Runs a piece of work on several cores at once.
#pragma once

#include <cstddef>
#include <memory>

namespace sparsenas {

// Threads that wait for work. Between two pieces of work they spin for a moment, as the layers of a
// network follow each other in microseconds, then they sleep.
class Threads {
 public:
  // `count` threads, the caller of Run among them. Those that are started here may run on the cores
  // that the calling thread may. Fails where the system refuses a thread.
  explicit Threads(size_t count);
  ~Threads();
  Threads(Threads&&) noexcept;
  Threads& operator=(Threads&&) noexcept;

  size_t count() const { return count_; }

  // Calls work(context, i) for every i in [0, count()), each on its own thread, 0 on this one, and
  // returns when all have returned. `work` does not throw. One caller at a time.
  using Work = void (*)(void* context, size_t thread);
  void Run(Work work, void* context);

 private:
  struct Shared;
  size_t count_;
  std::unique_ptr<Shared> shared_;  // Null where there is one thread.
};

}  // namespace sparsenas
