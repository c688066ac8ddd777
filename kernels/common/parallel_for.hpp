// Loops over several threads. The pool is our own: OpenMP would bring a second runtime beside torch's.
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
  thread_pool().run(threads - 1, [&] {
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
