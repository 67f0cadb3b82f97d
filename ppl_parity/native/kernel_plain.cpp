// The tile loop for any CPU: 16-byte vectors, which every 64-bit CPU has (SSE2, NEON).
#include "chunk.h"

#define VECTOR_BYTES 16
#define VECTORS 2
#define COLUMNS 3
#define FEW 0

namespace ppl::plain {
#include "tile.h"
}  // namespace ppl::plain
