// Many short calls of the native kernel, some beside each other: what a sanitizer watches (test_threads.py).
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "mixture.h"

// Threads of somebody else's, of which every third comes late, mostly when the call is over.
struct Others {
  std::atomic<int> asked{0}, ended{0};
  PplLender lender{this, start, 3};

  static void start(void* context, void (*task)(void*), void* data) {
    Others& own = *static_cast<Others*>(context);
    const int number = own.asked.fetch_add(1);
    std::thread([&own, number, task, data] {
      if (number % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(500));
      task(data);
      own.ended.fetch_add(1);
    }).detach();
  }
  ~Others() {
    while (ended.load() < asked.load()) std::this_thread::yield();
  }
};

template <class T>
bool calls(int seed, int problems, const PplLender* lender = nullptr) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  for (int problem = 0; problem < problems; problem++) {
    const int64_t N = 1 + random() % 12000, D = 1 + random() % 9, K = 2 + random() % 8;
    std::vector<T> x(N * D);
    std::vector<double> log_theta(K, -1.0), beta(K * D), n(K), slope(K * D);
    for (T& v : x) v = T(normal(random));
    for (double& v : beta) v = normal(random);
    double value = 0, first = 0;
    PplMixture call{};
    call.x = x.data(), call.log_theta = log_theta.data(), call.beta = beta.data();
    call.value = &value, call.grad_log_theta = n.data(), call.grad_beta = slope.data();
    call.N = N, call.D = D, call.K = K, call.C = 1;
    call.noise_scale = 1, call.element_bytes = sizeof(T);
    for (int again = 0; again < 20; again++) {
      call.threads = 1 + again % 4;
      call.lender = again % 2 ? lender : nullptr;
      if (ppl_mixture(&call) != 0) return false;
      if (again == 0) first = value;
      if (value != first) return false;  // on any number of threads, bit for bit
    }
  }
  return true;
}

int main(int, char** arguments) {
  const int problems = std::atoi(arguments[1]);
  Others others;
  bool fine = calls<float>(1, problems) && calls<double>(2, problems), beside = true;
  fine = calls<float>(5, problems / 5, &others.lender) && fine;
  std::thread other([&] { beside = calls<double>(3, problems) && calls<double>(6, problems / 5, &others.lender); });
  fine = calls<float>(4, problems) && calls<float>(7, problems / 5, &others.lender) && fine;
  other.join();
  fine = fine && others.asked.load() > problems;
  std::puts(fine && beside ? "the same" : "not the same");
}
