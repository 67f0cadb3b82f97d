// A pool of threads that lives as long as the process.
//
// Work is a number of chunks, taken one after the other by whoever is free; what a chunk computes does not
// depend on who takes it. One caller has the pool at a time; another, on another thread, works alone meanwhile,
// and the pool's threads then step back, so that cores are not shared by more threads than there are.
//
// Where the caller's surroundings lend threads, those are taken: XLA's, for one, wait in a loop for what may come, and
// would have the core that a thread of this pool needs.
#pragma once
#include <cstdint>

#include "mixture.h"

namespace ppl {

// Calls work(context, i) once for each i in [0, count), on at most `threads` threads, this one included. A lender that
// has as many lends the others, where they are few.
void parallel_for(int64_t count, int threads, void (*work)(void*, int64_t), void* context, const PplLender* lender);

int threads_allowed();
void allow_threads(int threads);  // 0: one for each core that this process may use

}  // namespace ppl
