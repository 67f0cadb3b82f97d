// Rows of x as centred columns: [group][D][rows of the group], 0 in rows past the end.

// columns_of_rows: as many rows of x as a vector has places, less the centre, become PPL_AT_ONCE columns.
#if VECTOR_BYTES == 64 && (defined(__clang__) || __GNUC__ >= 12)
// Sixteen rows of eight floats become eight columns of sixteen. Rows come out in an order that spares a fourth round
// of shuffles, 0 2 4 6, 1 3 5 7, 8 10 12 14, 9 11 13 15, and is the same for every column: all that follows is
// summed over rows.
#define PPL_AT_ONCE 8
typedef float LooseOctet __attribute__((vector_size(32), may_alias, aligned(4)));

PPL_INLINE void columns_of_rows(const float* rows, int64_t stride, const float* centre, Vec<float> out[8]) {
  typedef float Octet __attribute__((vector_size(32), may_alias));
  typedef Vec<float> V;
  V p[8], q[8];
  const Octet c8 = *reinterpret_cast<const LooseOctet*>(centre);
  const V c = __builtin_shufflevector(c8, c8, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    const Octet low = *reinterpret_cast<const LooseOctet*>(rows + 2 * i * stride);
    const Octet high = *reinterpret_cast<const LooseOctet*>(rows + (2 * i + 1) * stride);
    p[i] = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) - c;
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 2) {
    q[i] = __builtin_shufflevector(p[i], p[i + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
    q[i + 1] = __builtin_shufflevector(p[i], p[i + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 4)
#pragma GCC unroll 8
    for (int j = 0; j < 2; j++) {
      const V a = q[i + j], b = q[i + j + 2];
      p[i + 2 * j] = __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
      p[i + 2 * j + 1] = __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    }
#pragma GCC unroll 8
  for (int i = 0; i < 4; i++) {
    out[i] = __builtin_shufflevector(p[i], p[i + 4], 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    out[i + 4] = __builtin_shufflevector(p[i], p[i + 4], 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  }
}
#elif VECTOR_BYTES == 32 && (defined(__clang__) || __GNUC__ >= 12)
// Eight rows of four floats become four columns of eight: two transpositions at once.
#define PPL_AT_ONCE 4

PPL_INLINE void columns_of_rows(const float* rows, int64_t stride, const float* centre, Vec<float> out[4]) {
  typedef Simd<float>::LooseQuad Loose;
  typedef Simd<float>::Quad Quad;
  typedef Vec<float> V;
  const Quad c4 = *reinterpret_cast<const Loose*>(centre);
  const V c8 = __builtin_shufflevector(c4, c4, 0, 1, 2, 3, 4, 5, 6, 7);
  V p[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const Quad low = *reinterpret_cast<const Loose*>(rows + i * stride);
    const Quad high = *reinterpret_cast<const Loose*>(rows + (i + 4) * stride);
    p[i] = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7) - c8;
  }
  const V a = __builtin_shufflevector(p[0], p[1], 0, 8, 1, 9, 4, 12, 5, 13);
  const V b = __builtin_shufflevector(p[0], p[1], 2, 10, 3, 11, 6, 14, 7, 15);
  const V c = __builtin_shufflevector(p[2], p[3], 0, 8, 1, 9, 4, 12, 5, 13);
  const V d = __builtin_shufflevector(p[2], p[3], 2, 10, 3, 11, 6, 14, 7, 15);
  out[0] = __builtin_shufflevector(a, c, 0, 1, 8, 9, 4, 5, 12, 13);
  out[1] = __builtin_shufflevector(a, c, 2, 3, 10, 11, 6, 7, 14, 15);
  out[2] = __builtin_shufflevector(b, d, 0, 1, 8, 9, 4, 5, 12, 13);
  out[3] = __builtin_shufflevector(b, d, 2, 3, 10, 11, 6, 7, 14, 15);
}
#else
#define PPL_AT_ONCE 0
#endif

template <class T>
struct Columns {
  static constexpr int W = Shape<T>::W, R = Shape<T>::R, G = Shape<T>::G;
  typedef Vec<T> V;

#if PPL_AT_ONCE
  // Rows of x as centred columns, PPL_AT_ONCE of them at once, and the sum of their squares. FIXED is D, or 0 for
  // any other.
  template <int FIXED>
  PPL_INLINE void shuffled_columns(const Chunk<T>& call, const T* x, T* out, V squares[4]) {
    const int64_t D = FIXED ? FIXED : call.D;
    for (int64_t first = 0; first < D; first += PPL_AT_ONCE) {
      const int repeated = first + PPL_AT_ONCE > D ? int(first + PPL_AT_ONCE - D) : 0;  // of the last columns
      const int64_t d = first - repeated;
      for (int v = 0; v < R; v++) {
        V several[PPL_AT_ONCE];
        columns_of_rows(x + v * W * D + d, D, call.centre + d, several);
#pragma GCC unroll 8
        for (int i = 0; i < PPL_AT_ONCE; i++) {
          store(out + (d + i) * G + v * W, several[i]);
          if (i >= repeated) squares[i % 4] += several[i] * several[i];
        }
      }
    }
  }
#endif

  // The same for any type, and for groups that are not full.
  template <int FIXED>
  PPL_INLINE void of_group(const Chunk<T>& call, const T* x, int64_t rows, T* out, V squares[4]) {
    typedef typename Simd<T>::Quad Quad;
    typedef typename Simd<T>::LooseQuad Loose;
    const int64_t D = FIXED ? FIXED : call.D;
#if PPL_AT_ONCE
    if constexpr (sizeof(T) == 4)
      if (rows == G && D >= PPL_AT_ONCE) return shuffled_columns<FIXED>(call, x, out, squares);
#endif
    if (rows == G && D >= 4) {
      for (int64_t d = 0; d < D; d += 4) {
        if (d + 4 > D) d = D - 4;  // the last four columns, some of them a second time
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
    for (int64_t d = 0; d < D; d++)
#pragma GCC unroll 8
      for (int v = 0; v < R; v++) {
        const V c = load(out + d * G + v * W);
        squares[v % 4] += c * c;
      }
  }

  template <int FIXED>
  static void fixed(const Chunk<T>& call, const T* x, int64_t rows, T* cols, V squares[4]) {
    const int64_t D = FIXED ? FIXED : call.D;
    V own[4] = {};  // so many sums at once, or each addition would wait for the last
    for (int64_t r = 0; r < rows; r += G) {
      of_group<FIXED>(call, x + r * D, rows - r < G ? rows - r : G, cols + r * D, own);
    }
    for (int i = 0; i < 4; i++) squares[i] = own[i];
  }

  static void of_tile(const Chunk<T>& call, const T* x, int64_t rows, T* cols, V squares[4]) {
    const int64_t D = call.D;
#define PPL_COLUMNS(d) fixed<d>(call, x, rows, cols, squares)
    PPL_BY_COLUMNS(T, D, PPL_COLUMNS)
#undef PPL_COLUMNS
  }
};
