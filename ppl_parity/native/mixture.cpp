// One call: choose a variant, bring the parameters into its arithmetic, cut the rows into chunks, add up.
#include "mixture.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>
#include <vector>

#include "chunk.h"
#include "pool.h"

namespace ppl {
namespace {

constexpr double kLog2E = 1.4426950408889634, kLn2 = 0.6931471805599453, kPi = 3.141592653589793;
// Of columns and logits: about a first-level cache, for larger tiles add up their sums less often.
constexpr int64_t kTileBytes = 36 << 10;
constexpr int64_t kLeastRows = 192, kMostRows = 512;
constexpr int64_t kMostChunks = 128, kPartialBytes = 1 << 20;
constexpr double kWorthThreads = 30e3;  // in rows x (K (2 D + 10) + 4 D) / 8: about 20 microseconds of work

enum { kPlain = 1, kAvx2 = 2, kAvx512 = 4 };

int variants() {
  int found = kPlain;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found |= kAvx2;
  if ((found & kAvx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    found |= kAvx512;
#endif
  return found;
}

template <class T>
const Kernel<T>& pick(const Kernel<float>& f, const Kernel<double>& d) {
  if constexpr (sizeof(T) == 4) return f;
  else return d;
}

template <class T>
const Kernel<T>* kernel(int wanted) {
  static const int here = variants();
  if (wanted == 0) wanted = here & kAvx512 ? kAvx512 : here & kAvx2 ? kAvx2 : kPlain;
  if ((wanted & here) != wanted) return nullptr;
  switch (wanted) {
    case kPlain: return &pick<T>(plain::kernel_float, plain::kernel_double);
#if defined(__x86_64__)
    case kAvx2: return &pick<T>(avx2::kernel_float, avx2::kernel_double);
    case kAvx512: return &pick<T>(avx512::kernel_float, avx512::kernel_double);
#endif
  }
  return nullptr;
}

// Memory of this thread, kept from call to call; it grows to the largest that was asked for.
template <class T>
T* scratch(std::vector<T>& own, int64_t size) {
  const int64_t extra = kAlignment / int64_t(sizeof(T));
  if (int64_t(own.size()) < size + extra) own.resize(size_t(size + extra));
  const uintptr_t at = reinterpret_cast<uintptr_t>(own.data());
  return reinterpret_cast<T*>((at + kAlignment - 1) / kAlignment * kAlignment);
}

// The parameters of all chains in T, and what rounding took off them.
template <class T>
struct Parameters {
  std::vector<T> centre, bias, weights;
  std::vector<double> beta, lost_bias, lost_weights;  // beta is centred; what is lost is in base 2
  std::vector<Chain<T>> chains;
  std::vector<int64_t> starts;  // of the blocks of components
  std::vector<char> finite;     // of each chain; one that is not has zeros here, and no result

  explicit Parameters(const PplMixture& call) {
    const int64_t D = call.D, K = call.K, C = call.C;
    centre.resize(D);
    bias.resize(C * K);
    lost_bias.resize(C * K);
    weights.resize(C * K * D);
    lost_weights.resize(C * K * D);
    beta.resize(C * K * D);
    finite.assign(C, true);
    find_centre(call);
    const double scale = kLog2E / (call.noise_scale * call.noise_scale);
    const int64_t blocks = num_blocks(K, kBlock);
    for (int64_t b = 0; b <= blocks; b++) starts.push_back(block_start(b, K, blocks));
    for (int64_t c = 0; c < C; c++) {
      for (int64_t b = 0; b < blocks; b++) {
        const int64_t first = starts[b], size = starts[b + 1] - first;
        T* packed = weights.data() + (c * K + first) * D;
        for (int64_t k = first; k < first + size; k++) {
          const int64_t row = (c * K + k) * D;
          double square = 0;
          for (int64_t d = 0; d < D; d++) {
            const double centred = call.beta[row + d] - double(centre[d]), w = scale * centred;
            beta[row + d] = centred;
            square += centred * centred;
            packed[d * size + k - first] = T(w);
            lost_weights[row + d] = lost(w, T(w));
          }
          const double log_theta = call.log_theta[c * K + k];
          const double value = kLog2E * log_theta - 0.5 * scale * square;
          bias[c * K + k] = T(value);
          lost_bias[c * K + k] = lost(value, T(value));
          // log theta = -inf is theta = 0, and has a density.
          finite[c] = finite[c] && std::isfinite(square) && !std::isnan(log_theta) &&
                      log_theta < std::numeric_limits<double>::infinity();
        }
      }
      if (!finite[c]) {
        std::fill_n(bias.begin() + c * K, K, T(0));
        std::fill_n(weights.begin() + c * K * D, K * D, T(0));
      }
      chains.push_back({bias.data() + c * K, weights.data() + c * K * D});
    }
  }

 private:
  static double lost(double value, T kept) { return std::isfinite(double(kept)) ? value - double(kept) : 0; }

  // The mean of up to 64 rows spread over the data: enough to keep the terms of the expanded square small.
  void find_centre(const PplMixture& call) {
    const T* x = static_cast<const T*>(call.x);
    const int64_t rows = call.N < 64 ? call.N : 64;
    std::vector<double> total(call.D);
    for (int64_t i = 0; i < rows; i++)
      for (int64_t d = 0; d < call.D; d++) total[d] += double(x[i * call.N / rows * call.D + d]);
    for (int64_t d = 0; d < call.D; d++) {
      const T mean = rows ? T(total[d] / double(rows)) : T(0);
      centre[d] = std::isfinite(double(mean)) ? mean : T(0);
    }
  }
};

// While it lives, this thread takes a subnormal number for 0 (on x86). Responsibilities far from a row are such
// numbers, and arithmetic with them can be many times slower; 2^-126 of a row is nothing. So are squares of float rows
// that lie within 1e-19 of their centre.
struct FlushSubnormals {
#if defined(__SSE__)
  const unsigned before = __builtin_ia32_stmxcsr();
  FlushSubnormals() { __builtin_ia32_ldmxcsr(before | 0x8040); }
  ~FlushSubnormals() { __builtin_ia32_ldmxcsr(before); }
#endif
};

template <class T>
struct Work {
  Chunk<T> chunk;
  const Kernel<T>* kernel;
  int64_t tiles, chunks, stride, scratch_elements;
  double* partial;  // chunk after chunk: squares, then the sums of all chains

  static void run(void* context, int64_t i) {
    static thread_local std::vector<T> own;
    const Work& work = *static_cast<const Work*>(context);
    double* partial = work.partial + i * work.stride;
    for (int64_t j = 0; j < work.stride; j++) partial[j] = 0;
    Chunk<T> chunk = work.chunk;
    chunk.first = i * work.tiles / work.chunks;
    chunk.last = (i + 1) * work.tiles / work.chunks;
    chunk.squares = partial;
    chunk.sums = partial + 1;
    chunk.scratch = scratch(own, work.scratch_elements);
    const FlushSubnormals flushed;
    work.kernel->run(chunk);
  }
};

int64_t clamp(int64_t value, int64_t least, int64_t most) {
  return value < least ? least : value > most ? most : value;
}

// Cuts that depend on the shapes alone: sums are then the same for any number of threads.
template <class T>
void cut(const PplMixture& call, Work<T>& work) {
  const int64_t D = call.D, K = call.K, group = work.kernel->group;
  const int64_t row_bytes = int64_t(sizeof(T)) * (D + K);
  int64_t rows = clamp(kTileBytes / row_bytes, kLeastRows, kMostRows);
  // A product of a tile's row sums, each at most K, must stay below 2^1023. A lane has a row of at least two.
  const int64_t most = int64_t(1000 / std::log2(double(K) + 1));
  if (rows > 2 * most) rows = 2 * most;
  const int64_t groups = clamp(rows / group, 1, rows);
  work.chunk.groups_per_tile = groups;
  work.tiles = num_blocks(call.N, groups * group);
  work.stride = 1 + call.C * (1 + K * (D + 1));
  const int64_t one = int64_t(sizeof(double)) * (1 + K * (D + 1));
  work.chunks = clamp(work.tiles, 1, clamp(kPartialBytes / one, 16, kMostChunks));
  work.scratch_elements = scratch_size<T>(D, K, groups * group);
}

void give_no_number(const PplMixture& call, int64_t chain) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  call.value[chain] = nan;
  std::fill_n(call.grad_log_theta + chain * call.K, call.K, nan);
  std::fill_n(call.grad_beta + chain * call.K * call.D, call.K * call.D, nan);
}

template <class T>
int evaluate(const PplMixture& call) {
  const Kernel<T>* chosen = kernel<T>(call.variant);
  if (chosen == nullptr) return -1;
  const int64_t D = call.D, K = call.K, C = call.C, N = call.N;
  if (K < 1) return -1;
  const Parameters<T> parameters(call);
  for (int64_t c = 0; c < C; c++)
    if (!parameters.finite[c]) give_no_number(call, c);
  if (std::none_of(parameters.finite.begin(), parameters.finite.end(), [](char is) { return is; })) return 0;
  Work<T> work{};
  work.kernel = chosen;
  work.chunk.x = static_cast<const T*>(call.x);
  work.chunk.centre = parameters.centre.data();
  work.chunk.D = D;
  work.chunk.K = K;
  work.chunk.num_chains = C;
  work.chunk.num_rows = N;
  work.chunk.chains = parameters.chains.data();
  work.chunk.starts = parameters.starts.data();
  work.chunk.blocks = int64_t(parameters.starts.size()) - 1;
  cut(call, work);
  static thread_local std::vector<double> own;
  work.partial = scratch(own, work.chunks * work.stride);
  int threads = call.threads > 0 ? call.threads : threads_allowed();
  if (double(N) * double(C) * double(K * (2 * D + 10) + 4 * D) / 8 < kWorthThreads) threads = 1;
  parallel_for(work.chunks, threads, Work<T>::run, &work, call.lender);
  double* total = work.partial;
  for (int64_t i = 1; i < work.chunks; i++)
    for (int64_t j = 0; j < work.stride; j++) total[j] += work.partial[i * work.stride + j];

  const double variance = call.noise_scale * call.noise_scale;
  const double constant = -0.5 * total[0] / variance - 0.5 * double(N) * double(D) * std::log(2 * kPi * variance);
  for (int64_t c = 0; c < C; c++) {
    if (!parameters.finite[c]) continue;
    const double* sums = total + 1 + c * (1 + K * (D + 1));
    double value = sums[0];
    for (int64_t k = 0; k < K; k++) {
      const double* row = sums + 1 + k * (D + 1);
      const int64_t at = (c * K + k) * D;
      const double n = row[D];
      // Rounded parameters would move the value by n_k times the rounding, which N makes large: the gradient
      // is at hand, so the value at the parameters themselves follows to first order.
      value += n * parameters.lost_bias[c * K + k];
      for (int64_t d = 0; d < D; d++) {
        value += row[d] * parameters.lost_weights[at + d];
        call.grad_beta[at + d] = (row[d] - n * parameters.beta[at + d]) / variance;
      }
      call.grad_log_theta[c * K + k] = n;
    }
    call.value[c] = kLn2 * value + constant;
  }
  return 0;
}

}  // namespace
}  // namespace ppl

int ppl_mixture(const PplMixture* call) {
  try {
    return call->element_bytes == 4 ? ppl::evaluate<float>(*call) : ppl::evaluate<double>(*call);
  } catch (const std::bad_alloc&) {
    return -1;
  }
}

const char* ppl_build() { return PPL_BUILD; }
int ppl_variants() { return ppl::variants(); }
int ppl_threads() { return ppl::threads_allowed(); }
void ppl_set_threads(int threads) { ppl::allow_threads(threads); }
