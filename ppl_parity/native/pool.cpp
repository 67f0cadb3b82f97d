#include "pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace ppl {
namespace {

// A gradient of NUTS follows the last one within tens of microseconds: waking a sleeping thread costs as much.
constexpr auto kSpin = std::chrono::microseconds(100);
constexpr int kMostThreads = 256;
constexpr int kMostLent = 8;  // threads of a call: each of a lender's takes about a microsecond to ask for
constexpr uint64_t kOpen = 1u << 16, kInside = kOpen - 1, kJob = kOpen << 1;

struct Job {
  void (*work)(void*, int64_t);
  void* context;
  int64_t count;
  std::atomic<int64_t> next{0};
};

// A job with lent threads. One of them may come when it is over: it lives until the last of them has been there.
struct LentJob {
  Job job;
  std::atomic<bool> open{true};
  std::atomic<int> inside{0}, holders{1};

  LentJob(void (*work)(void*, int64_t), void* context, int64_t count) : job{work, context, count} {}
  void release() {
    if (holders.fetch_sub(1) == 1) delete this;
  }
};

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

class Pool {
 public:
  void run(Job& job, int threads) {
    callers_.fetch_add(1);
    if (threads > 1 && busy_.try_lock()) {
      grow(threads - 1);
      wanted_.store(threads - 1);
      job_ = &job;
      // Number of the job, whether it is open, and how many of the pool's threads are inside.
      gate_.store((gate_.load() & ~(kOpen | kInside)) + kJob + kOpen);
      if (asleep_.load() > 0) {
        { std::lock_guard<std::mutex> lock(sleep_); }
        wake_.notify_all();
      }
      take(job, false);
      gate_.fetch_and(~kOpen);
      wait_until([this] { return (gate_.load() & kInside) == 0; });
      busy_.unlock();
    } else {
      take(job, false);
    }
    callers_.fetch_sub(1);
  }

  void run_with(const PplLender& lender, LentJob& lent, int threads) {
    const bool alone = callers_.fetch_add(1) > 0;
    for (int i = 1; i < threads && !alone; i++) {
      // Where all of the lender's threads are at work, tasks wait: no more of them than can be of use.
      if (awaited_.fetch_add(1) >= threads - 1) {
        awaited_.fetch_sub(1);
        break;
      }
      lent.holders.fetch_add(1);
      lender.start(lender.context, help_with, &lent);
    }
    take(lent.job, false);
    lent.open.store(false);
    wait_until([&lent] { return lent.inside.load() == 0; });
    lent.release();
    callers_.fetch_sub(1);
  }

 private:
  static void help_with(void* data);

  // A helper that the system has put aside holds a chunk: give it a core to finish on.
  template <class Condition>
  void wait_until(Condition condition) {
    for (int i = 1; !condition(); i++)
      if (i % 256) pause();
      else std::this_thread::yield();
  }

  void take(Job& job, bool helper) {
    for (;;) {
      if (helper && callers_.load(std::memory_order_relaxed) > 1) return;
      const int64_t i = job.next.fetch_add(1);
      if (i >= job.count) return;
      job.work(job.context, i);
    }
  }

  void grow(int helpers) {
    if (helpers > kMostThreads - 1) helpers = kMostThreads - 1;
    try {
      while (helpers_ < helpers) {
        std::thread(&Pool::help, this, helpers_).detach();
        helpers_++;
      }
    } catch (const std::system_error&) {  // no more threads are to be had: go on with those there are
    }
  }

  void help(int number) {
    uint64_t seen = 0;
    for (;;) {
      uint64_t gate = await(seen);
      seen = gate & ~kInside;
      if (number >= wanted_.load()) continue;
      while ((gate & ~kInside) == seen) {
        if (gate_.compare_exchange_weak(gate, gate + 1)) {
          take(*job_, true);
          gate_.fetch_sub(1);
          break;
        }
      }
    }
  }

  // The gate as it was when it was open for a job that this thread has not seen: by now it may be shut, and who
  // went in then would work on what nobody waits for.
  uint64_t await(uint64_t seen) {
    uint64_t gate;
    const auto news = [&] {
      gate = gate_.load();
      return (gate & kOpen) && (gate & ~kInside) != seen;
    };
    const auto until = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int i = 0; i < 64; i++) {
        if (news()) return gate;
        pause();
      }
    } while (std::chrono::steady_clock::now() < until);
    std::unique_lock<std::mutex> lock(sleep_);
    asleep_.fetch_add(1);
    wake_.wait(lock, news);
    asleep_.fetch_sub(1);
    return gate;
  }

  std::mutex busy_, sleep_;
  std::condition_variable wake_;
  std::atomic<uint64_t> gate_{0};
  std::atomic<int> callers_{0}, asleep_{0}, wanted_{0};
  std::atomic<int> awaited_{0};  // lent threads that have been asked for and have not been there
  std::atomic<Job*> job_{nullptr};
  int helpers_ = 0;
};

std::atomic<Pool*> the_pool{nullptr};
std::atomic<int> allowed{0};

// After fork the threads are not there: the child begins with a pool of its own, and leaves the old one be.
void forget() { the_pool.store(new Pool); }

Pool& pool() {
  static const bool once = [] {
    the_pool.store(new Pool);  // never deleted: its threads may outlive whatever would delete it
#if !defined(_WIN32)
    pthread_atfork(nullptr, nullptr, forget);
#endif
    return true;
  }();
  (void)once;
  return *the_pool.load();
}

void Pool::help_with(void* data) {
  LentJob& lent = *static_cast<LentJob*>(data);
  Pool& own = pool();
  own.awaited_.fetch_sub(1);
  lent.inside.fetch_add(1);
  if (lent.open.load()) own.take(lent.job, true);
  lent.inside.fetch_sub(1);
  lent.release();
}

}  // namespace

int threads_allowed() {
  const int set = allowed.load();
  if (set > 0) return set;
  static const int cores = int(std::thread::hardware_concurrency());
  return cores > 0 ? cores : 1;
}

void allow_threads(int threads) { allowed.store(threads > 0 ? threads : 0); }

void parallel_for(int64_t count, int threads, void (*work)(void*, int64_t), void* context, const PplLender* lender) {
  if (threads > count) threads = int(count);
  if (lender != nullptr && threads > 1 && threads <= kMostLent && threads <= lender->threads)
    return pool().run_with(*lender, *new LentJob(work, context, count), threads);
  Job job{work, context, count};
  pool().run(job, threads);
}

}  // namespace ppl
