// sum_i r_ik x_id and sum_i r_ik over the rows of a tile: in T, then added to (K, D + 1) sums in double.

template <class T>
struct Products {
  static constexpr int W = Shape<T>::W, R = Shape<T>::R, G = Shape<T>::G;
  typedef Vec<T> V;

  // sum_rows r_ik x_id over a tile, for a block of B components and E columns; with COUNT the last of these is 1.
  template <int B, int E, bool COUNT>
  PPL_INLINE void products(const T* resp, int64_t K, const T* cols, int64_t D, int64_t groups, double* out) {
    constexpr int factors = E - COUNT;
    const int64_t columns = D + 1;
    V acc[B][E] = {};
    for (int64_t g = 0; g < groups; g++, resp += K * G, cols += D * G) {
#pragma GCC unroll 8
      for (int v = 0; v < R; v++) {
        V x[E];
#pragma GCC unroll 8
        for (int d = 0; d < factors; d++) x[d] = load(cols + d * G + v * W);
#pragma GCC unroll 8
        for (int k = 0; k < B; k++) {
          const V r = load(resp + k * G + v * W);
#pragma GCC unroll 8
          for (int d = 0; d < factors; d++) acc[k][d] += r * x[d];
          if (COUNT) acc[k][E - 1] += r;
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

  template <int B, bool COUNT>
  static void block_products(int size, const T* resp, int64_t K, const T* cols, int64_t D, int64_t groups,
                             double* out) {
    switch (size) {
      case 1: return products<B, 1, COUNT>(resp, K, cols, D, groups, out);
      case 2: return products<B, 2, COUNT>(resp, K, cols, D, groups, out);
      case 3: return products<B, 3, COUNT>(resp, K, cols, D, groups, out);
#if COLUMNS >= 5
      case 4: return products<B, 4, COUNT>(resp, K, cols, D, groups, out);
      case 5: return products<B, 5, COUNT>(resp, K, cols, D, groups, out);
#endif
    }
  }

  template <int B>
  static void column_products(const T* resp, int64_t K, const T* cols, int64_t D, int64_t groups, double* out) {
    const int64_t blocks = num_blocks(D + 1, COLUMNS);
    for (int64_t e = 0; e < blocks; e++) {
      const int64_t d = block_start(e, D + 1, blocks);
      const int width = int(block_start(e + 1, D + 1, blocks) - d);
      if (e + 1 < blocks) block_products<B, false>(width, resp, K, cols + d * G, D, groups, out + d);
      else block_products<B, true>(width, resp, K, cols + d * G, D, groups, out + d);
    }
  }

  static void of_tile(const Chunk<T>& call, const T* resp, const T* cols, int64_t groups, double* sums) {
    const int64_t D = call.D, K = call.K;
    for (int64_t b = 0; b < call.blocks; b++) {
      const int64_t k = call.starts[b], size = call.starts[b + 1] - k;
      double* out = sums + k * (D + 1);
      switch (size) {
        case 1: column_products<1>(resp + k * G, K, cols, D, groups, out); break;
        case 2: column_products<2>(resp + k * G, K, cols, D, groups, out); break;
        case 3: column_products<3>(resp + k * G, K, cols, D, groups, out); break;
        case 4: column_products<4>(resp + k * G, K, cols, D, groups, out); break;
      }
    }
  }
};
