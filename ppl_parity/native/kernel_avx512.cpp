// The tile loop for x86-64 with AVX-512: 4 x 4, 8 x 2 and 4 x 5 sums in thirty-two registers.
#include "chunk.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")
#endif

#define VECTOR_BYTES 64
#define PPL_REGISTER "v"
#define VECTORS 4
#define COLUMNS 5
#define FEW 8

namespace ppl::avx512 {
#include "tile.h"
}  // namespace ppl::avx512

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
