// The interface of the native library: what Python, torch and the XLA handler call.
//
//   value   = sum_i logsumexp_k [ log theta_k + log N(x_i; beta_k, s^2 I) ]
//   n_k     = sum_i r_ik                        the gradient in log theta_k, each varied on its own
//   slope_k = sum_i r_ik (x_i - beta_k) / s^2   the gradient in beta_k
#pragma once
#include <cstdint>

#if defined(_WIN32)
#define PPL_EXPORT extern "C" __declspec(dllexport)
#else
#define PPL_EXPORT extern "C" __attribute__((visibility("default")))
#endif

extern "C" {

// Threads of the caller's own surroundings that may help with a call. `start` is asked, while the call runs, to have
// task(data) run on one of them; that may be late, after the call has ended, for nothing waits until it has begun.
struct PplLender {
  void* context;
  void (*start)(void* context, void (*task)(void*), void* data);
  int32_t threads;  // that there are, the calling one perhaps among them
};

// One call: the same rows x for C points (chains) of the parameter space.
struct PplMixture {
  const void* x;            // (N, D), rows side by side; float if element_bytes is 4, double if 8
  const double* log_theta;  // (C, K)
  const double* beta;       // (C, K, D), in the unit of x
  double* value;            // (C,)
  double* grad_log_theta;   // (C, K)
  double* grad_beta;        // (C, K, D)
  int64_t N, D, K, C;
  double noise_scale;
  int32_t element_bytes;
  int32_t threads;  // at most so many; 0: as many as ppl_set_threads allows
  int32_t variant;  // 0: the best of this CPU; else one of ppl_variants' bits
  const PplLender* lender;  // null: the library's own threads help
};

// The prior and the coordinates that turn the log likelihood into the potential of NUTS.
struct PplPotential {
  PplMixture mixture;          // log_theta, beta and the outputs are filled in here
  const double* alpha;         // (K,)
  const double* prior_mean;    // (D,)
  const double* prior_whiten;  // (D, D), the inverse of the prior covariance's Cholesky factor
  double constant;             // the normalising constants of both priors
};

// 0, or -1 where memory could not be had, there is no component, or the variant is not this CPU's.
typedef int (*ppl_mixture_fn)(const PplMixture*);
typedef int (*ppl_potential_fn)(const PplPotential*, const double*, const double*, double*, double*, double*);
}

PPL_EXPORT int ppl_mixture(const PplMixture* call);
// y (C, K - 1) and beta (C, K, D) to U (C,) and its gradient, in the same shapes.
PPL_EXPORT int ppl_potential(const PplPotential* call, const double* y, const double* beta, double* potential,
                             double* grad_y, double* grad_beta);
PPL_EXPORT const char* ppl_build();  // what was compiled: a hash of these sources
PPL_EXPORT int ppl_variants();  // bits: 1 plain, 2 AVX2 and FMA, 4 AVX-512
PPL_EXPORT int ppl_threads();
PPL_EXPORT void ppl_set_threads(int threads);  // 0: one for each core that this process may use
