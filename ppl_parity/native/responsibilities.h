// Columns to responsibilities, a group of rows at a time: [K][rows of the group], logits in base 2 first, and 0 in
// rows past the end, where ``ones`` is 0.

template <class T>
struct Responsibilities {
  static constexpr int W = Shape<T>::W, R = Shape<T>::R, G = Shape<T>::G;
  typedef Vec<T> V;

  // l_k = c_k + b_k . x for a block of B components, and the largest so far. FIXED is D, or 0 for any other: a loop
  // of few steps costs as much to leave as a third of what it does.
  template <int B, int FIXED>
  PPL_INLINE void logits(const T* cols, int64_t D, const T* bias, const T* weights, T* out, V top[R]) {
    V acc[B][R];
#pragma GCC unroll 8
    for (int k = 0; k < B; k++)
#pragma GCC unroll 8
      for (int v = 0; v < R; v++) acc[k][v] = splat(bias[k]);
    const auto column = [&](int64_t d) __attribute__((always_inline)) {
      V x[R];
#pragma GCC unroll 8
      for (int v = 0; v < R; v++) x[v] = load(cols + d * G + v * W);
#pragma GCC unroll 8
      for (int k = 0; k < B; k++) {
        const V w = splat(weights[d * B + k]);
#pragma GCC unroll 8
        for (int v = 0; v < R; v++) acc[k][v] += w * x[v];
      }
    };
    each<FIXED>(D, column);
#pragma GCC unroll 8
    for (int v = 0; v < R; v++) {
      V most = top[v];
#pragma GCC unroll 8
      for (int k = 0; k < B; k++) {
        store(out + k * G + v * W, acc[k][v]);
        most = acc[k][v] > most ? acc[k][v] : most;
      }
      top[v] = most;
    }
  }

  // Logits of a group to responsibilities, 0 in rows past the end. FIXED is K, or 0 where K is not known beforehand.
  template <int FIXED>
  PPL_INLINE void normalise(T* resp, int64_t K, const T* ones, const V top[R], V total[R]) {
    const Exp2<T> constants = Exp2<T>::constants();
    V most[R], all[R];  // not the caller's: what lies in memory would wait for each store
#pragma GCC unroll 8
    for (int v = 0; v < R; v++) most[v] = top[v], all[v] = V{};
    each<FIXED>(K, [&](int64_t k) __attribute__((always_inline)) {
      V e[R];
#pragma GCC unroll 8
      for (int v = 0; v < R; v++) e[v] = load(resp + k * G + v * W) - most[v];
      exp2_nonpositive<T, R>(e, constants);
#pragma GCC unroll 8
      for (int v = 0; v < R; v++) {
        store(resp + k * G + v * W, e[v]);
        all[v] += e[v];
      }
    });
    V inverse[R];
#pragma GCC unroll 8
    for (int v = 0; v < R; v++) {
      inverse[v] = load(ones + v * W) / all[v];
      total[v] = all[v];
    }
    each<FIXED>(K, [&](int64_t k) __attribute__((always_inline)) {
#pragma GCC unroll 8
      for (int v = 0; v < R; v++) {
        T* at = resp + k * G + v * W;
        store(at, load(at) * inverse[v]);
      }
    });
  }

#if FEW
  // The same from the columns on, for K components whose logits stay in registers, two vectors at a time.
  template <int K, int FIXED>
  PPL_INLINE void few(const T* cols, int64_t D, const T* bias, const T* weights, const T* ones, T* out, V top[R],
                      V total[R]) {
    constexpr int H = 2, B = K > kBlock ? K / 2 : K;
    const Exp2<T> constants = Exp2<T>::constants();
    for (int h = 0; h < R; h += H, cols += H * W, out += H * W) {
      V acc[K][H];
#pragma GCC unroll 8
      for (int k = 0; k < K; k++)
#pragma GCC unroll 8
        for (int v = 0; v < H; v++) acc[k][v] = splat(bias[k]);
      const T* second = weights + B * (FIXED ? FIXED : D);
      each<FIXED>(D, [&](int64_t d) __attribute__((always_inline)) {
        V x[H];
#pragma GCC unroll 8
        for (int v = 0; v < H; v++) x[v] = load(cols + d * G + v * W);
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) {
          const V w = splat(k < B ? weights[d * B + k] : second[d * (K - B) + k - B]);
#pragma GCC unroll 8
          for (int v = 0; v < H; v++) acc[k][v] += w * x[v];
        }
      });
      V most[H], all[H];
#pragma GCC unroll 8
      for (int v = 0; v < H; v++) {
        most[v] = acc[0][v];
        all[v] = V{};
#pragma GCC unroll 8
        for (int k = 1; k < K; k++) most[v] = acc[k][v] > most[v] ? acc[k][v] : most[v];
      }
#pragma GCC unroll 8
      for (int k = 0; k < K; k++) {
#pragma GCC unroll 8
        for (int v = 0; v < H; v++) acc[k][v] -= most[v];
        exp2_nonpositive<T, H>(acc[k], constants);
#pragma GCC unroll 8
        for (int v = 0; v < H; v++) all[v] += acc[k][v];
      }
#pragma GCC unroll 8
      for (int v = 0; v < H; v++) {
        const V inverse = load(ones + (h + v) * W) / all[v];
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) store(out + k * G + v * W, acc[k][v] * inverse);
        top[h + v] = most[v];
        total[h + v] = all[v];
      }
    }
  }
#endif

#if FEW
  template <int K>
  static void few_of(const T* cols, int64_t D, const Chain<T>& chain, const T* ones, T* out, V top[R], V total[R]) {
#define PPL_FEW(d) few<K, d>(cols, D, chain.bias, chain.weights, ones, out, top, total)
    PPL_BY_COLUMNS(T, D, PPL_FEW)
#undef PPL_FEW
  }

  static void few_components(int64_t K, const T* cols, int64_t D, const Chain<T>& chain, const T* ones, T* out,
                             V top[R], V total[R]) {
    switch (K) {
      case 1: return few_of<1>(cols, D, chain, ones, out, top, total);
      case 2: return few_of<2>(cols, D, chain, ones, out, top, total);
      case 3: return few_of<3>(cols, D, chain, ones, out, top, total);
      case 4: return few_of<4>(cols, D, chain, ones, out, top, total);
      case 5: return few_of<5>(cols, D, chain, ones, out, top, total);
      case 6: return few_of<6>(cols, D, chain, ones, out, top, total);
      case 7: return few_of<7>(cols, D, chain, ones, out, top, total);
      case 8: return few_of<8>(cols, D, chain, ones, out, top, total);
    }
  }
#endif

  template <int B>
  static void logits_of(const T* cols, int64_t D, const T* bias, const T* weights, T* out, V top[R]) {
#define PPL_LOGITS(d) logits<B, d>(cols, D, bias, weights, out, top)
    PPL_BY_COLUMNS(T, D, PPL_LOGITS)
#undef PPL_LOGITS
  }

  static void block_logits(int size, const T* cols, int64_t D, const T* bias, const T* weights, T* out, V top[R]) {
    switch (size) {
      case 1: return logits_of<1>(cols, D, bias, weights, out, top);
      case 2: return logits_of<2>(cols, D, bias, weights, out, top);
      case 3: return logits_of<3>(cols, D, bias, weights, out, top);
      case 4: return logits_of<4>(cols, D, bias, weights, out, top);
    }
  }

  static void normalise_all(T* resp, int64_t K, const T* ones, const V top[R], V total[R]) {
    switch (K) {
#if !FEW
      case 1: return normalise<1>(resp, K, ones, top, total);
      case 2: return normalise<2>(resp, K, ones, top, total);
      case 3: return normalise<3>(resp, K, ones, top, total);
      case 4: return normalise<4>(resp, K, ones, top, total);
      case 5: return normalise<5>(resp, K, ones, top, total);
      case 6: return normalise<6>(resp, K, ones, top, total);
      case 7: return normalise<7>(resp, K, ones, top, total);
      case 8: return normalise<8>(resp, K, ones, top, total);
#endif
      default: return normalise<kAnySize>(resp, K, ones, top, total);
    }
  }

  static void separately(const Chunk<T>& call, const T* cols, const Chain<T>& chain, const T* ones, T* out, V top[R],
                         V total[R]) {
    const int64_t D = call.D;
    for (int v = 0; v < R; v++) top[v] = splat(-T(__builtin_inf()));
    for (int64_t b = 0; b < call.blocks; b++) {
      const int64_t k = call.starts[b], size = call.starts[b + 1] - k;
      block_logits(int(size), cols, D, chain.bias + k, chain.weights + k * D, out + k * G, top);
    }
    normalise_all(out, call.K, ones, top, total);
  }

  // A group's columns to its responsibilities, the largest logit of each row and the sum of what is left of them.
  PPL_INLINE void of_group(const Chunk<T>& call, const T* cols, const Chain<T>& chain, const T* ones, T* out, V top[R],
                           V total[R]) {
#if FEW
    if (call.K <= FEW) return few_components(call.K, cols, call.D, chain, ones, out, top, total);
#endif
    separately(call, cols, chain, ones, out, top, total);
  }
};
