// The tile loop: one pass over a chunk of rows, for every chain at once. It and what it includes are included inside
// a variant's namespace, after its target, VECTOR_BYTES, VECTORS (vectors of rows at once), COLUMNS (of x at once, in
// the second product), FEW (up to so many components' logits stay in registers; 0: they never do) and, where a
// constant can be kept in a vector register, PPL_REGISTER (the compiler's letter for one).
//
// A tile is a few hundred rows, few enough that its columns and its K logits a row stay in the cache. It is cut
// into groups of VECTORS vectors; within a group, columns (or components) stand one after the other:
//     columns  [group][D][rows of the group]       centred, and 0 in rows past the end
//     resp     [group][K][rows of the group]       logits in base 2, then responsibilities
// Sums over the rows of a tile are in T; they are then added to sums in double. While a tile is worked on, the
// rows of the next one of its chunk are fetched: reading comes in bursts, which the processor alone does not foresee.

#include "simd.h"
#include "shape.h"
#include "exp2.h"
#include "columns.h"
#include "responsibilities.h"
#include "products.h"

template <class T>
struct Tile {
  static constexpr int W = Shape<T>::W, R = Shape<T>::R, G = Shape<T>::G;
  typedef Vec<T> V;

  // Add up a group's tops, and multiply its row sums. They lie in [1, K], so a product of many takes one logarithm.
  PPL_INLINE void add_up(const V top[R], const V total[R], bool partial, const T* ones, double* tops, double* product) {
    V all = splat(T(1));
#pragma GCC unroll 8
    for (int v = 0; v < R; v++) {
      V t = top[v], s = total[v];
      if (partial) {  // rows past the end: nothing to add, and 1 to multiply by
        const V one = load(ones + v * W);
        t = one > T(0) ? t : one;
        s = one > T(0) ? s : T(1) + one;
      }
      for (int i = 0; i < W; i++) tops[i] += t[i];
      all = v == 0 ? s : all * s;
    }
    for (int i = 0; i < W; i++) product[i] *= all[i];
  }

  // ``coming`` is what the next tile will read, ``ahead`` bytes of it for each group of this one.
  static void one_chain(const Chunk<T>& call, const Chain<T>& chain, const T* cols, T* resp, int64_t groups,
                        const T* ones, const T* last_ones, const char* coming, int64_t ahead, double* sums) {
    const int64_t D = call.D, K = call.K;
    double tops[W], product[W];
    for (int i = 0; i < W; i++) tops[i] = 0, product[i] = 1;
    for (int64_t g = 0; g < groups; g++) {
      const bool last = g == groups - 1;
      const T *own = cols + g * D * G, *live = last ? last_ones : ones;
      for (int64_t i = 0; i < ahead; i += 64) __builtin_prefetch(coming + g * ahead + i, 0, 2);
      V top[R], total[R];
      Responsibilities<T>::of_group(call, own, chain, live, resp + g * K * G, top, total);
      add_up(top, total, last, live, tops, product);
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
    Products<T>::of_tile(call, resp, cols, groups, sums + 1);
  }

  static void run(const Chunk<T>& call) {
    const int64_t D = call.D, K = call.K, full = call.groups_per_tile;
    T* cols = call.scratch;
    T* resp = cols + D * full * G;
    // 1 for a row; in a tile's last group 0 for what is past the end.
    alignas(kAlignment) T ones[G], last_ones[G];
    for (int i = 0; i < G; i++) ones[i] = 1;
    for (int64_t tile = call.first; tile < call.last; tile++) {
      const int64_t begin = tile * full * G;
      const int64_t rows = call.num_rows - begin < full * G ? call.num_rows - begin : full * G;
      const int64_t groups = (rows + G - 1) / G;
      V squares[4];
      Columns<T>::of_tile(call, call.x + begin * D, rows, cols, squares);
      for (int64_t i = 0; i < G; i++) last_ones[i] = (groups - 1) * G + i < rows ? T(1) : T(0);
      T sums[4];
      four_sums<T>(squares, sums);
      for (int i = 0; i < 4; i++) *call.squares += sums[i];
      const int64_t ahead = tile + 1 < call.last ? G * D * int64_t(sizeof(T)) : 0;
      const char* coming = reinterpret_cast<const char*>(call.x + (begin + rows) * D);
      for (int64_t c = 0; c < call.num_chains; c++)
        one_chain(call, call.chains[c], cols, resp, groups, ones, last_ones, coming, c == 0 ? ahead : 0,
                  call.sums + c * (1 + K * (D + 1)));
    }
  }
};

extern const Kernel<float> kernel_float;
extern const Kernel<double> kernel_double;
const Kernel<float> kernel_float = {Tile<float>::run, Tile<float>::G};
const Kernel<double> kernel_double = {Tile<double>::run, Tile<double>::G};
