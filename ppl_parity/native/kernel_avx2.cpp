// The tile loop for x86-64 with AVX2 and FMA: 4 x 3 sums in sixteen registers.
#include "chunk.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif

#define VECTOR_BYTES 32
#define PPL_REGISTER "x"
#define VECTORS 3
#define COLUMNS 3
#define FEW 0

namespace ppl::avx2 {
#include "tile.h"
}  // namespace ppl::avx2

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
