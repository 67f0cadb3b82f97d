// Vectors of VECTOR_BYTES bytes, by the compiler's vector extensions (GCC and Clang): the same text for every
// instruction set. Included inside a variant's namespace, after its target is set, so it includes nothing.

#define PPL_INLINE static inline __attribute__((always_inline))

template <class T>
struct Simd;

template <>
struct Simd<float> {
  static constexpr int width = VECTOR_BYTES / 4;
  typedef float V __attribute__((vector_size(VECTOR_BYTES), may_alias));
  typedef int32_t I __attribute__((vector_size(VECTOR_BYTES), may_alias));
  typedef float Quad __attribute__((vector_size(16), may_alias));
  typedef float LooseQuad __attribute__((vector_size(16), may_alias, aligned(4)));
  typedef int32_t Order __attribute__((vector_size(16)));
};

template <>
struct Simd<double> {
  static constexpr int width = VECTOR_BYTES / 8;
  typedef double V __attribute__((vector_size(VECTOR_BYTES), may_alias));
  typedef int64_t I __attribute__((vector_size(VECTOR_BYTES), may_alias));
  typedef double Quad __attribute__((vector_size(32), may_alias));
  typedef double LooseQuad __attribute__((vector_size(32), may_alias, aligned(8)));
  typedef int64_t Order __attribute__((vector_size(32)));
};

template <class T>
using Vec = typename Simd<T>::V;

template <class T>
PPL_INLINE Vec<T> load(const T* p) {
  return *reinterpret_cast<const Vec<T>*>(p);
}

template <class T>
PPL_INLINE void store(T* p, Vec<T> v) {
  *reinterpret_cast<Vec<T>*>(p) = v;
}

template <class T>
PPL_INLINE Vec<T> splat(T value) {
  return value - Vec<T>{};
}

template <class T>
PPL_INLINE T sum(Vec<T> v) {
  T lanes[Simd<T>::width];
  __builtin_memcpy(lanes, &v, sizeof(v));
  for (int half = Simd<T>::width / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
  return lanes[0];
}

// 2^y for y <= 0, and exactly 0 where the result would be subnormal; NaN stays NaN.
//
// y = n + f with n whole and |f| <= 1/2; a polynomial for 2^f with relative error 1.1e-7 (float) and 8e-18
// (double), found by linear programming and by interpolation at Chebyshev nodes; n goes into the exponent.
PPL_INLINE Vec<float> exp2_nonpositive(Vec<float> y) {
  typedef Simd<float>::I I;
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to whole numbers
  const Vec<float> shifted = y + magic;
  const Vec<float> f = y - (shifted - magic);
  Vec<float> p = f * 0.00132647273f + 0.00967151299f;
  p = p * f + 0.0555073358f;
  p = p * f + 0.240222424f;
  p = p * f + 0.693147004f;
  p = p * f + 1.0f;
  const I bits = (I)p + ((I)shifted << 23);
  return (Vec<float>)(bits & ~(I)(y < -126.0f));
}

PPL_INLINE Vec<double> exp2_nonpositive(Vec<double> y) {
  typedef Simd<double>::I I;
  const double magic = 6755399441055744.0;  // 1.5 * 2^52
  const Vec<double> shifted = y + magic;
  const Vec<double> f = y - (shifted - magic);
  Vec<double> p = f * 4.4549605981865186e-10 + 7.072585949269223e-09;
  p = p * f + 1.0178062445845774e-07;
  p = p * f + 1.321544258792169e-06;
  p = p * f + 1.525273382983612e-05;
  p = p * f + 0.0001540353044173605;
  p = p * f + 0.0013333558146416936;
  p = p * f + 0.009618129107606888;
  p = p * f + 0.0555041086648216;
  p = p * f + 0.24022650695910097;
  p = p * f + 0.6931471805599453;
  p = p * f + 1.0;
  const I bits = (I)p + ((I)shifted << 52);
  return (Vec<double>)(bits & ~(I)(y < -1022.0));
}

#if defined(__clang__) || __GNUC__ >= 12
#define PPL_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PPL_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, typename Simd<T>::Order{__VA_ARGS__})
#endif

// Four rows of four become four columns of four.
template <class T>
PPL_INLINE void transpose(typename Simd<T>::Quad q[4]) {
  typedef typename Simd<T>::Quad Q;
  const Q a = PPL_SHUFFLE(q[0], q[1], 0, 4, 1, 5), b = PPL_SHUFFLE(q[0], q[1], 2, 6, 3, 7);
  const Q c = PPL_SHUFFLE(q[2], q[3], 0, 4, 1, 5), d = PPL_SHUFFLE(q[2], q[3], 2, 6, 3, 7);
  q[0] = PPL_SHUFFLE(a, c, 0, 1, 4, 5);
  q[1] = PPL_SHUFFLE(a, c, 2, 3, 6, 7);
  q[2] = PPL_SHUFFLE(b, d, 0, 1, 4, 5);
  q[3] = PPL_SHUFFLE(b, d, 2, 3, 6, 7);
}

// The sums of four vectors' elements: added up in quads, then four at once, where one alone takes as long.
template <class T>
PPL_INLINE void four_sums(const Vec<T> v[4], T out[4]) {
  typedef typename Simd<T>::Quad Quad;
  constexpr int count = Simd<T>::width / 4;
  if constexpr (count == 0) {
    for (int i = 0; i < 4; i++) out[i] = sum<T>(v[i]);
  } else {
    Quad q[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      Quad part[count];
      __builtin_memcpy(part, &v[i], sizeof(v[i]));
      for (int half = count / 2; half > 0; half /= 2)
#pragma GCC unroll 4
        for (int j = 0; j < half; j++) part[j] += part[j + half];
      q[i] = part[0];
    }
    transpose<T>(q);
    const Quad total = (q[0] + q[1]) + (q[2] + q[3]);
    __builtin_memcpy(out, &total, sizeof(total));
  }
}

// Eight rows of four floats, less the centre, become four columns of eight: two transpositions at once.
#if VECTOR_BYTES >= 32 && (defined(__clang__) || __GNUC__ >= 12)
#define PPL_OCTETS 1
typedef float Octet __attribute__((vector_size(32), may_alias));

PPL_INLINE void columns_of_eight(const float* rows, int64_t stride, const float* centre, float* out, int64_t apart) {
  typedef Simd<float>::LooseQuad Loose;
  typedef Simd<float>::Quad Quad;
  const Quad c4 = *reinterpret_cast<const Loose*>(centre);
  const Octet c8 = __builtin_shufflevector(c4, c4, 0, 1, 2, 3, 4, 5, 6, 7);
  Octet p[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const Quad low = *reinterpret_cast<const Loose*>(rows + i * stride);
    const Quad high = *reinterpret_cast<const Loose*>(rows + (i + 4) * stride);
    p[i] = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7) - c8;
  }
  const Octet a = __builtin_shufflevector(p[0], p[1], 0, 8, 1, 9, 4, 12, 5, 13);
  const Octet b = __builtin_shufflevector(p[0], p[1], 2, 10, 3, 11, 6, 14, 7, 15);
  const Octet c = __builtin_shufflevector(p[2], p[3], 0, 8, 1, 9, 4, 12, 5, 13);
  const Octet d = __builtin_shufflevector(p[2], p[3], 2, 10, 3, 11, 6, 14, 7, 15);
  *reinterpret_cast<Octet*>(out) = __builtin_shufflevector(a, c, 0, 1, 8, 9, 4, 5, 12, 13);
  *reinterpret_cast<Octet*>(out + apart) = __builtin_shufflevector(a, c, 2, 3, 10, 11, 6, 7, 14, 15);
  *reinterpret_cast<Octet*>(out + 2 * apart) = __builtin_shufflevector(b, d, 0, 1, 8, 9, 4, 5, 12, 13);
  *reinterpret_cast<Octet*>(out + 3 * apart) = __builtin_shufflevector(b, d, 2, 3, 10, 11, 6, 7, 14, 15);
}
#else
#define PPL_OCTETS 0
PPL_INLINE void columns_of_eight(const float*, int64_t, const float*, float*, int64_t) {}
#endif

// Sixteen rows of eight floats, less the centre, become eight columns of sixteen. Rows come out in an order that
// spares a fourth round of shuffles, 0 2 4 6, 1 3 5 7, 8 10 12 14, 9 11 13 15, and is the same for every column:
// all that follows is summed over rows.
#if VECTOR_BYTES == 64 && (defined(__clang__) || __GNUC__ >= 12)
#define PPL_SIXTEENS 1
typedef float LooseOctet __attribute__((vector_size(32), may_alias, aligned(4)));

PPL_INLINE void columns_of_sixteen(const float* rows, int64_t stride, Octet centre, Vec<float> out[8]) {
  typedef Vec<float> V;
  V p[8], q[8];
  const V c = __builtin_shufflevector(centre, centre, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
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
#else
#define PPL_SIXTEENS 0
#endif
