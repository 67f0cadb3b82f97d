// The tile loop: one pass over a chunk of rows, for every chain at once. Included inside a variant's
// namespace after simd.h, with VECTORS (vectors of rows at once), COLUMNS (of x at once, in the second
// product) and FEW (components whose logits stay in registers).
//
// A tile is a few hundred rows, few enough that its columns and its K logits a row stay in the cache. It is cut
// into groups of VECTORS vectors; within a group, columns (or components) stand one after the other:
//     columns  [group][D + 1][rows of the group]   centred; the last column is 1, or 0 for rows past the end
//     resp     [group][K][rows of the group]       logits in base 2, then responsibilities
// Sums over the rows of a tile are in T; they are then added to sums in double. While a tile is worked on, the
// rows of the next one of its chunk are fetched: reading comes in bursts, which the processor alone does not foresee.

template <class T>
struct Tile {
  static constexpr int W = Simd<T>::width, BLOCK = kBlock, R = VECTORS, G = W * R;
  typedef Vec<T> V;
  static_assert((COLUMNS == 3 || COLUMNS == 5) && (FEW == 4 || FEW == 8), "no others are written out");

#if PPL_SIXTEENS
  PPL_INLINE void columns_by_sixteens(const Chunk<T>& call, const T* x, T* out, V squares[4]) {
    const int64_t D = call.D;
    for (int64_t d = 0; d < D; d += 8) {
      const int repeated = d + 8 > D ? int(d + 8 - D) : 0;  // of the last eight columns
      d -= repeated;
      const Octet centre = *reinterpret_cast<const LooseOctet*>(call.centre + d);
      for (int v = 0; v < R; v++) {
        V eight[8];
        columns_of_sixteen(x + v * W * D + d, D, centre, eight);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
          store(out + (d + i) * G + v * W, eight[i]);
          if (i >= repeated) squares[i % 4] += eight[i] * eight[i];
        }
      }
    }
    for (int v = 0; v < R; v++) store(out + D * G + v * W, splat(T(1)));
  }
#endif

  // Rows of x as centred columns, and the sum of their squares.
  PPL_INLINE void columns(const Chunk<T>& call, const T* x, int64_t rows, T* out, V squares[4]) {
    typedef typename Simd<T>::Quad Quad;
    typedef typename Simd<T>::LooseQuad Loose;
    const int64_t D = call.D;
#if PPL_SIXTEENS
    if constexpr (sizeof(T) == 4)
      if (rows == G && D >= 8) return columns_by_sixteens(call, x, out, squares);
#endif
    if (rows == G && D >= 4) {
      for (int64_t d = 0; d < D; d += 4) {
        if (d + 4 > D) d = D - 4;  // the last four columns, some of them a second time
        if constexpr (PPL_OCTETS && sizeof(T) == 4) {
          for (int r = 0; r < G; r += 8)
            columns_of_eight(x + r * D + d, D, call.centre + d, out + d * G + r, G);
          continue;
        }
        const Quad centre = *reinterpret_cast<const Loose*>(call.centre + d);
        for (int r = 0; r < G; r += 4) {
          Quad q[4];
          for (int i = 0; i < 4; i++) q[i] = *reinterpret_cast<const Loose*>(x + (r + i) * D + d) - centre;
          transpose<T>(q);
          for (int i = 0; i < 4; i++) *reinterpret_cast<Quad*>(out + (d + i) * G + r) = q[i];
        }
      }
    } else {
      for (int64_t d = 0; d < D; d++) {
        for (int64_t r = 0; r < rows; r++) out[d * G + r] = x[r * D + d] - call.centre[d];
        for (int64_t r = rows; r < G; r++) out[d * G + r] = 0;
      }
    }
    for (int v = 0; v < R; v++) store(out + D * G + v * W, splat(T(1)));
    for (int64_t r = rows; r < G; r++) out[D * G + r] = 0;
    for (int64_t d = 0; d < D; d++)
#pragma GCC unroll 8
      for (int v = 0; v < R; v++) {
        const V c = load(out + d * G + v * W);
        squares[v % 4] += c * c;
      }
  }

  // l_k = c_k + b_k . x for a block of B components, and the largest so far.
  template <int B>
  PPL_INLINE void logits(const T* cols, int64_t D, const T* bias, const T* weights, T* out, V top[R]) {
    V acc[B][R];
#pragma GCC unroll 8
    for (int k = 0; k < B; k++)
#pragma GCC unroll 8
      for (int v = 0; v < R; v++) acc[k][v] = splat(bias[k]);
    for (int64_t d = 0; d < D; d++, cols += G, weights += B) {
      V x[R];
#pragma GCC unroll 8
      for (int v = 0; v < R; v++) x[v] = load(cols + v * W);
#pragma GCC unroll 8
      for (int k = 0; k < B; k++) {
        const V w = splat(weights[k]);
#pragma GCC unroll 8
        for (int v = 0; v < R; v++) acc[k][v] += w * x[v];
      }
    }
#pragma GCC unroll 8
    for (int k = 0; k < B; k++)
#pragma GCC unroll 8
      for (int v = 0; v < R; v++) {
        store(out + k * G + v * W, acc[k][v]);
        top[v] = acc[k][v] > top[v] ? acc[k][v] : top[v];
      }
  }

  // sum_rows r_ik x_id over a tile, for a block of B components and E columns.
  template <int B, int E>
  PPL_INLINE void products(const T* resp, int64_t K, const T* cols, int64_t columns, int64_t groups,
                           double* out) {
    V acc[B][E] = {};
    for (int64_t g = 0; g < groups; g++, resp += K * G, cols += columns * G) {
#pragma GCC unroll 8
      for (int v = 0; v < R; v++) {
        V x[E];
#pragma GCC unroll 8
        for (int d = 0; d < E; d++) x[d] = load(cols + d * G + v * W);
#pragma GCC unroll 8
        for (int k = 0; k < B; k++) {
          const V r = load(resp + k * G + v * W);
#pragma GCC unroll 8
          for (int d = 0; d < E; d++) acc[k][d] += r * x[d];
        }
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < B * E; i += 4) {
      const int left = B * E - i < 4 ? B * E - i : 4;
      V own[4] = {};
#pragma GCC unroll 4
      for (int j = 0; j < left; j++) own[j] = acc[(i + j) / E][(i + j) % E];
      T sums[4];
      four_sums<T>(own, sums);
#pragma GCC unroll 4
      for (int j = 0; j < left; j++) out[(i + j) / E * columns + (i + j) % E] += double(sums[j]);
    }
  }

  // Logits of a group to responsibilities.
  PPL_INLINE void normalise(T* resp, int64_t K, const V top[R], V total[R]) {
    for (int v = 0; v < R; v++) total[v] = V{};
    for (int64_t k = 0; k < K; k++) {
#pragma GCC unroll 8
      for (int v = 0; v < R; v++) {
        T* at = resp + k * G + v * W;
        const V e = exp2_nonpositive(load(at) - top[v]);
        store(at, e);
        total[v] += e;
      }
    }
    V inverse[R];
#pragma GCC unroll 8
    for (int v = 0; v < R; v++) inverse[v] = T(1) / total[v];
    for (int64_t k = 0; k < K; k++)
#pragma GCC unroll 8
      for (int v = 0; v < R; v++) {
        T* at = resp + k * G + v * W;
        store(at, load(at) * inverse[v]);
      }
  }

  // The same from the columns on, for few components: their logits stay in registers.
  template <int K>
  PPL_INLINE void few(const T* cols, int64_t D, const T* bias, const T* weights, T* out, V top[R], V total[R]) {
    constexpr int H = R > 3 ? 2 : 1, B = K > kBlock ? K / 2 : K;
    for (int h = 0; h < R; h += H, cols += H * W, out += H * W) {
      V acc[K][H];
#pragma GCC unroll 8
      for (int k = 0; k < K; k++)
#pragma GCC unroll 8
        for (int v = 0; v < H; v++) acc[k][v] = splat(bias[k]);
      const T* second = weights + B * D;
      for (int64_t d = 0; d < D; d++) {
        V x[H];
#pragma GCC unroll 8
        for (int v = 0; v < H; v++) x[v] = load(cols + d * G + v * W);
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) {
          const V w = splat(k < B ? weights[d * B + k] : second[d * (K - B) + k - B]);
#pragma GCC unroll 8
          for (int v = 0; v < H; v++) acc[k][v] += w * x[v];
        }
      }
      V most[H], all[H];
#pragma GCC unroll 8
      for (int v = 0; v < H; v++) {
        most[v] = acc[0][v];
        all[v] = V{};
#pragma GCC unroll 8
        for (int k = 1; k < K; k++) most[v] = acc[k][v] > most[v] ? acc[k][v] : most[v];
      }
#pragma GCC unroll 8
      for (int k = 0; k < K; k++)
#pragma GCC unroll 8
        for (int v = 0; v < H; v++) {
          acc[k][v] = exp2_nonpositive(acc[k][v] - most[v]);
          all[v] += acc[k][v];
        }
#pragma GCC unroll 8
      for (int v = 0; v < H; v++) {
        const V inverse = T(1) / all[v];
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) store(out + k * G + v * W, acc[k][v] * inverse);
        top[h + v] = most[v];
        total[h + v] = all[v];
      }
    }
  }

  // Add up a group's tops, and multiply its row sums. They lie in [1, K], so a product of many takes one logarithm.
  PPL_INLINE void add_up(const V top[R], const V total[R], bool partial, const T* ones, double* tops, double* product) {
#pragma GCC unroll 8
    for (int v = 0; v < R; v++) {
      V t = top[v], s = total[v];
      if (partial) {  // rows past the end: nothing to add, and 1 to multiply by
        const V one = load(ones + v * W);
        t = one > T(0) ? t : one;
        s = one > T(0) ? s : T(1) + one;
      }
      for (int i = 0; i < W; i++) {
        tops[i] += t[i];
        product[i] *= s[i];
      }
    }
  }

  static void few_components(int64_t K, const T* cols, int64_t D, const Chain<T>& chain, T* out, V top[R],
                             V total[R]) {
    switch (K) {
#define PPL_FEW(n) \
  case n: return few<n>(cols, D, chain.bias, chain.weights, out, top, total)
      PPL_FEW(1);
      PPL_FEW(2);
      PPL_FEW(3);
      PPL_FEW(4);
#if FEW >= 8
      PPL_FEW(5);
      PPL_FEW(6);
      PPL_FEW(7);
      PPL_FEW(8);
#endif
#undef PPL_FEW
    }
  }

  static void block_logits(int size, const T* cols, int64_t D, const T* bias, const T* weights, T* out, V top[R]) {
    switch (size) {
      case 1: return logits<1>(cols, D, bias, weights, out, top);
      case 2: return logits<2>(cols, D, bias, weights, out, top);
      case 3: return logits<3>(cols, D, bias, weights, out, top);
      case 4: return logits<4>(cols, D, bias, weights, out, top);
    }
  }

  template <int B>
  static void block_products(int size, const T* resp, int64_t K, const T* cols, int64_t columns, int64_t groups,
                             double* out) {
    switch (size) {
      case 1: return products<B, 1>(resp, K, cols, columns, groups, out);
      case 2: return products<B, 2>(resp, K, cols, columns, groups, out);
      case 3: return products<B, 3>(resp, K, cols, columns, groups, out);
#if COLUMNS >= 5
      case 4: return products<B, 4>(resp, K, cols, columns, groups, out);
      case 5: return products<B, 5>(resp, K, cols, columns, groups, out);
#endif
    }
  }

  // ``coming`` is what the next tile will read, ``ahead`` bytes of it for each group of this one.
  static void one_chain(const Chunk<T>& call, const Chain<T>& chain, const T* cols, T* resp, int64_t groups,
                        const char* coming, int64_t ahead, double* sums) {
    const int64_t D = call.D, K = call.K, blocks = num_blocks(K, BLOCK);
    double tops[W], product[W];
    for (int i = 0; i < W; i++) tops[i] = 0, product[i] = 1;
    for (int64_t g = 0; g < groups; g++) {
      const T* own = cols + g * (D + 1) * G;
      for (int64_t i = 0; i < ahead; i += 64) __builtin_prefetch(coming + g * ahead + i, 0, 2);
      V top[R], total[R];
      if (K <= FEW) {
        few_components(K, own, D, chain, resp + g * K * G, top, total);
      } else {
        for (int v = 0; v < R; v++) top[v] = splat(-T(__builtin_inf()));
        for (int64_t b = 0; b < blocks; b++) {
          const int64_t k = block_start(b, K, blocks), size = block_start(b + 1, K, blocks) - k;
          block_logits(int(size), own, D, chain.bias + k, chain.weights + k * D, resp + (g * K + k) * G, top);
        }
        normalise(resp + g * K * G, K, top, total);
      }
      add_up(top, total, g == groups - 1, own + D * G, tops, product);
    }
    // A logarithm takes as long as a row: lanes are multiplied for as long as they may be.
    double value = 0, all = 1;
    for (int i = 0; i < W; i++) {
      value += tops[i];
      if (all > 0x1p500 || product[i] > 0x1p500) {
        value += __builtin_log2(all);
        all = 1;
      }
      all *= product[i];
    }
    value += __builtin_log2(all);
    sums[0] += value;
    const int64_t column_blocks = num_blocks(D + 1, COLUMNS);
    for (int64_t b = 0; b < blocks; b++) {
      const int64_t k = block_start(b, K, blocks), size = block_start(b + 1, K, blocks) - k;
      for (int64_t e = 0; e < column_blocks; e++) {
        const int64_t d = block_start(e, D + 1, column_blocks);
        const int width = int(block_start(e + 1, D + 1, column_blocks) - d);
        const T* r = resp + k * G;
        const T* c = cols + d * G;
        double* out = sums + 1 + k * (D + 1) + d;
        switch (size) {
          case 1: block_products<1>(width, r, K, c, D + 1, groups, out); break;
          case 2: block_products<2>(width, r, K, c, D + 1, groups, out); break;
          case 3: block_products<3>(width, r, K, c, D + 1, groups, out); break;
          case 4: block_products<4>(width, r, K, c, D + 1, groups, out); break;
        }
      }
    }
  }

  static void run(const Chunk<T>& call) {
    const int64_t D = call.D, K = call.K, full = call.groups_per_tile;
    T* cols = call.scratch;
    T* resp = cols + (D + 1) * full * G;
    for (int64_t tile = call.first; tile < call.last; tile++) {
      const int64_t begin = tile * full * G;
      const int64_t rows = call.num_rows - begin < full * G ? call.num_rows - begin : full * G;
      const int64_t groups = (rows + G - 1) / G;
      V squares[4] = {};  // so many sums at once, or each addition would wait for the last
      for (int64_t g = 0; g < groups; g++) {
        const int64_t left = rows - g * G;
        columns(call, call.x + (begin + g * G) * D, left < G ? left : G, cols + g * (D + 1) * G, squares);
      }
      T sums[4];
      four_sums<T>(squares, sums);
      for (int i = 0; i < 4; i++) *call.squares += sums[i];
      const int64_t ahead = tile + 1 < call.last ? G * D * int64_t(sizeof(T)) : 0;
      const char* coming = reinterpret_cast<const char*>(call.x + (begin + rows) * D);
      for (int64_t c = 0; c < call.num_chains; c++)
        one_chain(call, call.chains[c], cols, resp, groups, coming, c == 0 ? ahead : 0,
                  call.sums + c * (1 + K * (D + 1)));
    }
  }
};

extern const Kernel<float> kernel_float;
extern const Kernel<double> kernel_double;
const Kernel<float> kernel_float = {Tile<float>::run, Tile<float>::G};
const Kernel<double> kernel_double = {Tile<double>::run, Tile<double>::G};
