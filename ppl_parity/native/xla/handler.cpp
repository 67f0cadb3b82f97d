// The kernel and the potential as custom calls of XLA's CPU compiler. A library of its own, since it is compiled
// against jaxlib's headers, which are not there when this package is built; the core's functions reach it as pointers.
#include "../mixture.h"

#include <algorithm>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

ppl_mixture_fn kernel = nullptr;
ppl_potential_fn potential = nullptr;

bool is(const ffi::AnyBuffer& buffer, ffi::DataType type) { return buffer.element_type() == type; }

// JAX without x64 has parameters and results in float32; the kernel has them in double.
class Doubles {
 public:
  explicit Doubles(const ffi::AnyBuffer& buffer) {
    if (is(buffer, ffi::F64)) {
      data_ = static_cast<double*>(buffer.untyped_data());
    } else {
      const float* given = static_cast<float*>(buffer.untyped_data());
      own_.assign(given, given + buffer.element_count());
      given_ = static_cast<float*>(buffer.untyped_data());
      data_ = own_.data();
    }
  }
  double* data() { return data_; }
  void give_back() {
    if (given_) std::transform(own_.begin(), own_.end(), given_, [](double value) { return float(value); });
  }

 private:
  std::vector<double> own_;
  double* data_;
  float* given_ = nullptr;
};

// XLA's own threads help: they wait in a loop for what may come, and would have the cores that other threads need.
class Lender {
 public:
  explicit Lender(ffi::ThreadPool& pool) : own_{&pool, start, int32_t(pool.num_threads())} {}
  const PplLender* get() const { return &own_; }

 private:
  static void start(void* context, void (*task)(void*), void* data) {
    static_cast<ffi::ThreadPool*>(context)->Schedule([task, data] { task(data); });
  }
  PplLender own_;
};

ffi::Error run(ffi::ThreadPool threads, ffi::AnyBuffer log_theta, ffi::AnyBuffer beta, ffi::AnyBuffer x,
               double noise_scale, ffi::Result<ffi::AnyBuffer> value, ffi::Result<ffi::AnyBuffer> grad_log_theta,
               ffi::Result<ffi::AnyBuffer> grad_beta) {
  const auto shape = beta.dimensions();  // (C, K, D)
  const auto rows = x.dimensions();      // (N, D)
  if (kernel == nullptr) return ffi::Error::Internal("the mixture's kernel is not loaded");
  if (shape.size() != 3 || rows.size() != 2 || rows[1] != shape[2])
    return ffi::Error::InvalidArgument("the mixture's kernel takes beta (C, K, D) and x (N, D)");
  Doubles from_log_theta(log_theta), from_beta(beta);
  Doubles to_value(*value), to_grad_log_theta(*grad_log_theta), to_grad_beta(*grad_beta);
  PplMixture call{};
  call.x = x.untyped_data();
  call.log_theta = from_log_theta.data();
  call.beta = from_beta.data();
  call.value = to_value.data();
  call.grad_log_theta = to_grad_log_theta.data();
  call.grad_beta = to_grad_beta.data();
  call.N = rows[0];
  call.D = rows[1];
  call.C = shape[0];
  call.K = shape[1];
  call.noise_scale = noise_scale;
  call.element_bytes = is(x, ffi::F32) ? 4 : 8;
  const Lender lender(threads);
  call.lender = lender.get();
  if (kernel(&call) != 0) return ffi::Error::Internal("the mixture's kernel could not get its memory");
  to_value.give_back();
  to_grad_log_theta.give_back();
  to_grad_beta.give_back();
  return ffi::Error::Success();
}

using Array1 = ffi::Buffer<ffi::F64, 1>;
using Array2 = ffi::Buffer<ffi::F64, 2>;
using Array3 = ffi::Buffer<ffi::F64, 3>;

ffi::Error run_potential(ffi::ThreadPool threads, Array2 y, Array3 beta, ffi::AnyBuffer x, Array1 alpha,
                         Array1 prior_mean, Array2 prior_whiten, double noise_scale, double constant,
                         ffi::Result<Array1> value, ffi::Result<Array2> grad_y, ffi::Result<Array3> grad_beta) {
  const auto shape = beta.dimensions();  // (C, K, D)
  const auto rows = x.dimensions();      // (N, D)
  if (potential == nullptr) return ffi::Error::Internal("the mixture's kernel is not loaded");
  if (rows.size() != 2 || rows[1] != shape[2] || y.dimensions()[1] != shape[1] - 1)
    return ffi::Error::InvalidArgument("the mixture's potential takes y (C, K - 1), beta (C, K, D) and x (N, D)");
  PplPotential call{};
  call.mixture.x = x.untyped_data();
  call.mixture.N = rows[0];
  call.mixture.D = rows[1];
  call.mixture.C = shape[0];
  call.mixture.K = shape[1];
  call.mixture.noise_scale = noise_scale;
  call.mixture.element_bytes = is(x, ffi::F32) ? 4 : 8;
  const Lender lender(threads);
  call.mixture.lender = lender.get();
  call.alpha = alpha.typed_data();
  call.prior_mean = prior_mean.typed_data();
  call.prior_whiten = prior_whiten.typed_data();
  call.constant = constant;
  if (potential(&call, y.typed_data(), beta.typed_data(), value->typed_data(), grad_y->typed_data(),
                grad_beta->typed_data()) != 0)
    return ffi::Error::Internal("the mixture's kernel could not get its memory");
  return ffi::Error::Success();
}

}  // namespace

#pragma GCC visibility push(default)
XLA_FFI_DEFINE_HANDLER_SYMBOL(ppl_mixture_xla, run,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Attr<double>("noise_scale")
                                  .Ret<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(ppl_potential_xla, run_potential,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Array2>()
                                  .Arg<Array3>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<Array1>()
                                  .Arg<Array1>()
                                  .Arg<Array2>()
                                  .Attr<double>("noise_scale")
                                  .Attr<double>("constant")
                                  .Ret<Array1>()
                                  .Ret<Array2>()
                                  .Ret<Array3>());
#pragma GCC visibility pop

PPL_EXPORT void ppl_xla_use(ppl_mixture_fn mixture_function, ppl_potential_fn potential_function) {
  kernel = mixture_function;
  potential = potential_function;
}
PPL_EXPORT const char* ppl_build() { return PPL_BUILD; }
