// A constant that stays in a register: left alone, the compiler reads it from memory at each use, and two reads a
// cycle are fewer than the additions and products that there are units for.
#if defined(PPL_REGISTER)
PPL_INLINE Vec<float> pinned(float value) {
  Vec<float> v = splat(value);
  __asm__("" : "+" PPL_REGISTER(v));
  return v;
}
#else
PPL_INLINE Vec<float> pinned(float value) { return splat(value); }
#endif

// 2^y for y <= 0, n vectors side by side; below 2^-126 (float) or 2^-1022 (double) it is something smaller still, and
// exactly 0 from 2^-127 or 2^-1023 on; NaN stays NaN.
//
// y = m + f with m whole and |f| <= 1/2; a polynomial for 2^f with relative error 1.1e-7 (float) and 8e-18
// (double), found by linear programming and by interpolation at Chebyshev nodes; m goes into the exponent. At the
// least y that is let through f is 0, the polynomial 1, and its exponent less m the bits of 0.
template <class T>
struct Exp2;

template <>
struct Exp2<float> {
  typedef Vec<float> V;
  V magic, least, c0, c1, c2, c3, c4, c5;
  static constexpr int mantissa = 23;

  // A function, for a constructor that nobody wrote is not compiled for the target. 1.5 * 2^23: adding it rounds to
  // whole numbers.
  PPL_INLINE Exp2 constants() {
    return {pinned(12582912.0f),  pinned(-127.0f),       pinned(1.0f),           pinned(0.693147004f),
            pinned(0.240222424f), pinned(0.0555073358f), pinned(0.00967151299f), pinned(0.00132647273f)};
  }

  PPL_INLINE V polynomial(const Exp2& c, V f) {
    V p = f * c.c5 + c.c4;
    p = p * f + c.c3;
    p = p * f + c.c2;
    p = p * f + c.c1;
    return p * f + c.c0;
  }
};

template <>
struct Exp2<double> {
  typedef Vec<double> V;
  V magic, least;
  static constexpr int mantissa = 52;

  PPL_INLINE Exp2 constants() { return {splat(6755399441055744.0), splat(-1023.0)}; }  // 1.5 * 2^52

  PPL_INLINE V polynomial(const Exp2&, V f) {
    V p = f * 4.4549605981865186e-10 + 7.072585949269223e-09;
    p = p * f + 1.0178062445845774e-07;
    p = p * f + 1.321544258792169e-06;
    p = p * f + 1.525273382983612e-05;
    p = p * f + 0.0001540353044173605;
    p = p * f + 0.0013333558146416936;
    p = p * f + 0.009618129107606888;
    p = p * f + 0.0555041086648216;
    p = p * f + 0.24022650695910097;
    p = p * f + 0.6931471805599453;
    return p * f + 1.0;
  }
};

template <class T, int n>
PPL_INLINE void exp2_nonpositive(Vec<T> y[n], const Exp2<T>& c) {
  typedef typename Simd<T>::I I;
  Vec<T> whole[n], f[n];
#pragma GCC unroll 8
  for (int i = 0; i < n; i++) {
    y[i] = c.least > y[i] ? c.least : y[i];
    whole[i] = y[i] + c.magic;
    f[i] = y[i] - (whole[i] - c.magic);
  }
#pragma GCC unroll 8
  for (int i = 0; i < n; i++) f[i] = Exp2<T>::polynomial(c, f[i]);
#pragma GCC unroll 8
  for (int i = 0; i < n; i++) y[i] = (Vec<T>)((I)f[i] + ((I)whole[i] << Exp2<T>::mantissa));
}
