// The potential of NUTS and its gradient in one call: stick-breaking, both priors, the likelihood.
//
// theta is written by y in R^(K-1): with j = 0 .. K - 2 and w_j = y_j - log(K - 1 - j),
//     log theta_j = log sigmoid(w_j) + sum_{i<j} log sigmoid(-w_i),   log theta_{K-1} = sum_i log sigmoid(-w_i)
// and log |det d theta / d y| = sum_k log theta_k. With a_k = alpha_k + n_k (the Jacobian makes alpha_k - 1
// alpha_k),  dU/dy_j = sigmoid(w_j) sum_{k>j} a_k - sigmoid(-w_j) a_j.
#include <cmath>
#include <new>
#include <vector>

#include "mixture.h"

namespace {

double log_sigmoid(double w) { return w < 0 ? w - std::log1p(std::exp(w)) : -std::log1p(std::exp(-w)); }

// y (K - 1,) to log theta (K,).
void stick_breaking(int64_t K, const double* y, double* log_theta) {
  double left = 0;
  for (int64_t j = 0; j < K - 1; j++) {
    const double w = y[j] - std::log(double(K - 1 - j));
    log_theta[j] = left + log_sigmoid(w);
    left += log_sigmoid(-w);
  }
  log_theta[K - 1] = left;
}

// One point's potential and gradient from its log likelihood, whose gradient in beta is replaced.
double add_priors(const PplPotential& call, const double* y, const double* beta, const double* log_theta,
                  double likelihood, const double* counts, double* from_mean, double* grad_y,
                  double* grad_beta) {
  const int64_t K = call.mixture.K, D = call.mixture.D;
  double prior = call.constant;
  for (int64_t k = 0; k < K; k++) prior += call.alpha[k] * log_theta[k];
  for (int64_t k = 0; k < K; k++) {
    double* grad = grad_beta + k * D;
    for (int64_t d = 0; d < D; d++) from_mean[d] = beta[k * D + d] - call.prior_mean[d];
    for (int64_t d = 0; d < D; d++) grad[d] = -grad[d];
    for (int64_t e = 0; e < D; e++) {
      const double* row = call.prior_whiten + e * D;
      double white = 0;
      for (int64_t d = 0; d <= e; d++) white += row[d] * from_mean[d];
      prior -= 0.5 * white * white;
      for (int64_t d = 0; d <= e; d++) grad[d] += row[d] * white;
    }
  }
  double later = call.alpha[K - 1] + counts[K - 1];
  for (int64_t j = K - 2; j >= 0; j--) {
    const double w = y[j] - std::log(double(K - 1 - j)), own = call.alpha[j] + counts[j];
    grad_y[j] = std::exp(log_sigmoid(w)) * later - std::exp(log_sigmoid(-w)) * own;
    later += own;
  }
  return -(prior + likelihood);
}

int potential_and_gradient(const PplPotential& call, const double* y, const double* beta, double* potential,
                           double* grad_y, double* grad_beta) {
  const int64_t C = call.mixture.C, K = call.mixture.K, D = call.mixture.D;
  if (K < 1) return -1;
  std::vector<double> log_theta(C * K), counts(C * K), from_mean(D);
  for (int64_t c = 0; c < C; c++) stick_breaking(K, y + c * (K - 1), log_theta.data() + c * K);

  PplMixture mixture = call.mixture;
  mixture.log_theta = log_theta.data();
  mixture.beta = beta;
  mixture.value = potential;
  mixture.grad_log_theta = counts.data();
  mixture.grad_beta = grad_beta;
  const int status = ppl_mixture(&mixture);
  if (status != 0) return status;

  for (int64_t c = 0; c < C; c++)
    potential[c] = add_priors(call, y + c * (K - 1), beta + c * K * D, log_theta.data() + c * K, potential[c],
                              counts.data() + c * K, from_mean.data(), grad_y + c * (K - 1),
                              grad_beta + c * K * D);
  return 0;
}

}  // namespace

int ppl_potential(const PplPotential* call, const double* y, const double* beta, double* potential,
                  double* grad_y, double* grad_beta) {
  try {
    return potential_and_gradient(*call, y, beta, potential, grad_y, grad_beta);
  } catch (const std::bad_alloc&) {
    return -1;
  }
}
