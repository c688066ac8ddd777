// Loops over several threads: torch's where torch is loaded, else a pool of our own. We do not link against
// OpenMP, which would bring a second runtime beside torch's.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#ifdef __linux__
#include <dlfcn.h>
#include <sched.h>
#endif
#ifndef _WIN32
#include <pthread.h>
#endif

namespace onnxray {

// Cores that this process may run on.
inline int available_cores() {
#ifdef __linux__
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) {
    return std::max(1, CPU_COUNT(&cores));
  }
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// How many threads a loop may use, the calling one included.
inline std::atomic<int> &thread_setting() {
  static std::atomic<int> threads{available_cores()};
  return threads;
}

// Threads that wait for work. They live as long as the process.
class ThreadPool {
public:
  // Runs `job` on the calling thread and on at most `helpers` others, and returns when all have returned.
  // While another call uses the pool (from a second Python thread, or from inside a job), `job` runs on its
  // own thread alone.
  void run(int helpers, const std::function<void()> &job) {
    if (busy_.test_and_set(std::memory_order_acquire)) {
      job();
      return;
    }
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (; size_ < helpers; ++size_) {
        std::thread(&ThreadPool::work, this).detach();
      }
      job_ = &job;
      wanted_ = helpers;
    }
    wake_.notify_all();
    job();
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wanted_ = 0; // those that have not woken yet are not needed any more
      done_.wait(lock, [this] { return active_ == 0; });
    }
    busy_.clear(std::memory_order_release);
  }

private:
  void work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return wanted_ > 0; });
      --wanted_;
      ++active_;
      const std::function<void()> &job = *job_;
      lock.unlock();
      job();
      lock.lock();
      if (--active_ == 0) {
        done_.notify_one();
      }
    }
  }

  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void()> *job_ = nullptr;
  int size_ = 0, wanted_ = 0, active_ = 0;
};

// The process's pool. It is never destroyed, as its threads may outlive static objects; a forked child, in
// which those threads do not exist, gets a new one.
inline ThreadPool &thread_pool() {
  static ThreadPool *pool = [] {
#ifndef _WIN32
    pthread_atfork(nullptr, nullptr, [] { pool = new ThreadPool; });
#endif
    return new ThreadPool;
  }();
  return *pool;
}

// The entry into the OpenMP runtime that torch brought along, or null. Its threads spin for milliseconds
// after each of torch's operations, and while they do, threads of our own get no core: on two cores that
// costs all that the second is worth. The names are those that GCC's compiled code calls; LLVM's runtime has
// them too.
using OpenMpParallel = void (*)(void (*job)(void *), void *data, unsigned threads, unsigned flags);

inline OpenMpParallel openmp_parallel() {
#ifdef __linux__
  const auto most_threads = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
  if (most_threads != nullptr &&
      most_threads() > 1) { // torch allows one in its forked workers, where more would hang
    return reinterpret_cast<OpenMpParallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  }
#endif
  return nullptr;
}

// Runs `job` on this thread and on up to threads - 1 others at the same time.
inline void run_on_threads(int threads, const std::function<void()> &job) {
  if (const OpenMpParallel parallel = openmp_parallel()) {
    parallel([](void *data) { (*static_cast<const std::function<void()> *>(data))(); },
             const_cast<std::function<void()> *>(&job), static_cast<unsigned>(threads), 0);
  } else {
    thread_pool().run(threads - 1, job);
  }
}

// Calls body(begin, end) for pieces of [0, count), `grain` long, on as many threads as are set. What fits
// into one piece runs on the calling thread at once: waking another takes some ten microseconds.
template <class Body> void parallel_for(std::int64_t count, std::int64_t grain, const Body &body) {
  grain = std::max<std::int64_t>(grain, 1);
  const std::int64_t pieces = (count + grain - 1) / grain;
  const int threads = static_cast<int>(std::min<std::int64_t>(pieces, thread_setting()));
  if (threads <= 1) {
    if (count > 0) {
      body(std::int64_t{0}, count);
    }
    return;
  }
  std::atomic<std::int64_t> next{0};
  std::exception_ptr error;
  std::mutex error_mutex;
  run_on_threads(threads, [&] {
    try {
      for (std::int64_t piece; (piece = next.fetch_add(1)) < pieces;) {
        body(piece * grain, std::min(count, (piece + 1) * grain));
      }
    } catch (...) {
      next = pieces;
      const std::lock_guard<std::mutex> lock(error_mutex);
      error = std::current_exception();
    }
  });
  if (error) {
    std::rethrow_exception(error);
  }
}

} // namespace onnxray
