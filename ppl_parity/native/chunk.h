// One chunk of rows: what a variant of the tile loop is given, and what it adds to.
#pragma once
#include <cstdint>

namespace ppl {

constexpr int64_t kAlignment = 64;  // bytes; a cache line, and the widest vector

// Parameters of one chain, in the arithmetic of the tiles, as the tile loop reads them.
template <class T>
struct Chain {
  const T* bias;     // (K,) c_k = log2(e) (log theta_k - |beta_k|^2 / 2 s^2)
  const T* weights;  // b_k = log2(e) beta_k / s^2: blocks of components, each (D, components of the block)
};

template <class T>
struct Chunk {
  const T* x;       // (N, D)
  const T* centre;  // (D,), taken off every row
  int64_t D, K, num_chains;
  int64_t first, last;      // tiles of this chunk
  int64_t num_rows;         // N, of which the last tile may have fewer than the others
  int64_t groups_per_tile;  // a tile's rows are so many groups of Kernel::group rows
  const Chain<T>* chains;
  const int64_t* starts;  // of the blocks of components: the first component of each, and K
  int64_t blocks;
  double* sums;     // chain after chain: log2 of the density without its constants, then (K, D + 1):
                    // sum_i r_ik x_id and, last, sum_i r_ik
  double* squares;  // sum_i |x_i|^2, once for all chains
  T* scratch;       // scratch_size() elements, aligned
};

// A variant of the tile loop: compiled for one instruction set and one element type.
template <class T>
struct Kernel {
  void (*run)(const Chunk<T>&);
  int64_t group;  // rows that the innermost loop takes at once
};

constexpr int64_t kBlock = 4;  // components that the innermost loop takes at once: the layout of Chain::weights

// Components are cut into blocks of at most `block`, as equal as can be.
inline int64_t num_blocks(int64_t size, int64_t block) { return (size + block - 1) / block; }
inline int64_t block_start(int64_t i, int64_t size, int64_t blocks) { return i * size / blocks; }

template <class T>
int64_t scratch_size(int64_t D, int64_t K, int64_t rows) {
  return (D + K) * rows + 4 * kAlignment;
}

namespace plain {
extern const Kernel<float> kernel_float;
extern const Kernel<double> kernel_double;
}  // namespace plain
#if defined(__x86_64__)
namespace avx2 {
extern const Kernel<float> kernel_float;
extern const Kernel<double> kernel_double;
}  // namespace avx2
namespace avx512 {
extern const Kernel<float> kernel_float;
extern const Kernel<double> kernel_double;
}  // namespace avx512
#endif

}  // namespace ppl
