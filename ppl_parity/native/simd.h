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
