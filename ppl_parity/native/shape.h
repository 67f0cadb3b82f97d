// What the parts of the tile loop share: how many rows a group has, and loops whose length may be known.

template <class T>
struct Shape {
  static constexpr int W = Simd<T>::width, R = VECTORS, G = W * R;  // rows of a vector, vectors, rows of a group
  static_assert((COLUMNS == 3 || COLUMNS == 5) && (FEW == 0 || FEW == 8), "no others are written out");
  static_assert(FEW == 0 || R % 2 == 0, "few components are taken two vectors at a time");
};

// step(0) to step(count - 1): one after the other in the code where their number, FIXED, is known beforehand.
template <int FIXED, class Step>
PPL_INLINE void each(int64_t count, Step step) {
  if constexpr (FIXED > 0) {
#pragma GCC unroll 8
    for (int64_t i = 0; i < FIXED; i++) step(i);
  } else {
    for (int64_t i = 0; i < count; i++) step(i);
  }
}

// Numbers of columns of floats that have code of their own: it is shorter where strides and counts are known.
// ``call`` is a macro of that number, kAnySize for all others.
constexpr int kAnySize = 0;
#define PPL_BY_COLUMNS(T, D, call)                    \
  if constexpr (sizeof(T) > 4) return call(kAnySize); \
  else switch (D) {                                   \
    case 2: return call(2);                           \
    case 4: return call(4);                           \
    case 8: return call(8);                           \
    default: return call(kAnySize);                   \
  }
