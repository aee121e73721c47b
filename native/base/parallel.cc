#include "base/parallel.h"

#include "base/error.h"

#ifdef __wasm__

// One thread, as a WebAssembly module without shared memory has.
namespace sparsenas {

struct Threads::Shared {};

Threads::Threads(size_t count) : count_(count) {
  if (count != 1) Fail("Expected 1 thread in WebAssembly, found %zu.", count);
}
Threads::~Threads() = default;
Threads::Threads(Threads&&) noexcept = default;
Threads& Threads::operator=(Threads&&) noexcept = default;
void Threads::Run(Work work, void* context) { work(context, 0); }

}  // namespace sparsenas

#else

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

namespace sparsenas {
namespace {

// Moves the calling thread to the `n`th core after `core` of those it may run on, and lets it go
// there. Left where it was started, beside its caller, it would take turns with it on one core for
// tenths of a second until the system noticed.
void StartOnCoreAfter([[maybe_unused]] int core, [[maybe_unused]] size_t n) {
#ifdef __linux__
  cpu_set_t allowed;
  if (core < 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  const int cores = CPU_COUNT(&allowed);
  int next = core;
  for (size_t steps = n % static_cast<size_t>(cores); steps > 0;) {
    next = (next + 1) % CPU_SETSIZE;
    steps -= CPU_ISSET(next, &allowed) ? 1 : 0;
  }
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(next, &one);
  if (sched_setaffinity(0, sizeof one, &one) == 0) sched_setaffinity(0, sizeof allowed, &allowed);
#endif
}

int CurrentCore() {
#ifdef __linux__
  return sched_getcpu();
#else
  return -1;
#endif
}

// Waking a thread takes some 50 us, as long as a layer of 20 MFLOP runs: it is worth spinning
// through the layers of a network that run on one thread, not through the time between two images.
constexpr std::chrono::microseconds kSpin(200);

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

struct Threads::Shared {
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<size_t> round{0};    // Pieces of work so far; a new one is a change.
  std::atomic<size_t> running{0};  // Threads that have not finished it yet.
  std::atomic<size_t> asleep{0};
  std::atomic<bool> stop{false};
  Work work = nullptr;
  void* context = nullptr;
  std::vector<std::thread> threads;

  // Returns the number of the next piece of work after `seen`.
  size_t Next(size_t seen) {
    const auto end = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int i = 0; i < 64; ++i) {
        const size_t now = round.load(std::memory_order_acquire);
        if (now != seen) return now;
        Pause();
      }
      // Where there are more threads than cores, whoever has the work needs this one.
      std::this_thread::yield();
    } while (std::chrono::steady_clock::now() < end);
    std::unique_lock<std::mutex> lock(mutex);
    asleep.fetch_add(1);
    wake.wait(lock, [&] { return round.load() != seen; });
    asleep.fetch_sub(1);
    return round.load();
  }

  // Announces the next piece of work. Sequentially consistent, as Next is where it goes to sleep:
  // either it sees the new number or this sees that it sleeps.
  void Announce() {
    round.fetch_add(1);
    if (asleep.load() == 0) return;
    // Whoever has counted itself asleep holds the mutex until it really waits.
    const std::lock_guard<std::mutex> lock(mutex);
    wake.notify_all();
  }

  void Serve(size_t thread) {
    for (size_t seen = 0;;) {
      seen = Next(seen);
      if (stop.load()) return;
      work(context, thread);
      running.fetch_sub(1, std::memory_order_release);
    }
  }

  ~Shared() {
    stop.store(true);
    Announce();
    for (std::thread& thread : threads) thread.join();
  }
};

Threads::Threads(size_t count) : count_(count) {
  if (count == 0) Fail("Expected at least 1 thread, found 0.");
  if (count == 1) return;
  shared_ = std::make_unique<Shared>();
  try {
    for (size_t i = 1; i < count; ++i)
      shared_->threads.emplace_back([shared = shared_.get(), i, core = CurrentCore()] {
        StartOnCoreAfter(core, i);
        shared->Serve(i);
      });
  } catch (const std::system_error& error) {
    Fail("Cannot start %zu threads: %s.", count, error.what());
  }
}

Threads::~Threads() = default;
Threads::Threads(Threads&&) noexcept = default;
Threads& Threads::operator=(Threads&&) noexcept = default;

void Threads::Run(Work work, void* context) {
  if (count_ == 1) return work(context, 0);
  shared_->work = work;
  shared_->context = context;
  shared_->running.store(count_ - 1, std::memory_order_relaxed);
  shared_->Announce();
  work(context, 0);
  for (size_t spins = 0; shared_->running.load(std::memory_order_acquire) != 0; ++spins) {
    Pause();
    if (spins % 64 == 63) std::this_thread::yield();
  }
}

}  // namespace sparsenas

#endif
