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

int potential_and_gradient(const PplPotential& call, const double* y, const double* beta, double* potential,
                           double* grad_y, double* grad_beta) {
  const int64_t K = call.mixture.K, D = call.mixture.D;
  std::vector<double> log_theta(K), counts(K), from_mean(D);
  double left = 0;
  for (int64_t j = 0; j < K - 1; j++) {
    const double w = y[j] - std::log(double(K - 1 - j));
    log_theta[j] = left + log_sigmoid(w);
    left += log_sigmoid(-w);
  }
  log_theta[K - 1] = left;

  double likelihood;
  PplMixture mixture = call.mixture;
  mixture.C = 1;
  mixture.log_theta = log_theta.data();
  mixture.beta = beta;
  mixture.value = &likelihood;
  mixture.grad_log_theta = counts.data();
  mixture.grad_beta = grad_beta;
  const int status = ppl_mixture(&mixture);
  if (status != 0) return status;

  double prior = call.constant;
  for (int64_t k = 0; k < K; k++) prior += call.alpha[k] * log_theta[k];
  for (int64_t k = 0; k < K; k++) {
    for (int64_t d = 0; d < D; d++) from_mean[d] = beta[k * D + d] - call.prior_mean[d];
    for (int64_t d = 0; d < D; d++) grad_beta[k * D + d] = -grad_beta[k * D + d];
    for (int64_t e = 0; e < D; e++) {
      const double* row = call.prior_whiten + e * D;
      double white = 0;
      for (int64_t d = 0; d <= e; d++) white += row[d] * from_mean[d];
      prior -= 0.5 * white * white;
      for (int64_t d = 0; d <= e; d++) grad_beta[k * D + d] += row[d] * white;
    }
  }
  double later = call.alpha[K - 1] + counts[K - 1];
  for (int64_t j = K - 2; j >= 0; j--) {
    const double w = y[j] - std::log(double(K - 1 - j)), own = call.alpha[j] + counts[j];
    grad_y[j] = std::exp(log_sigmoid(w)) * later - std::exp(log_sigmoid(-w)) * own;
    later += own;
  }
  *potential = -(prior + likelihood);
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
