// A pool of threads that lives as long as the process.
//
// Work is a number of chunks, taken one after the other by whoever is free; what a chunk computes does not
// depend on who takes it. One caller has the pool at a time; another, on another thread, works alone meanwhile,
// and the pool's threads then step back, so that cores are not shared by more threads than there are.
#pragma once
#include <cstdint>

namespace ppl {

// Calls work(context, i) once for each i in [0, count), on at most `threads` threads, this one included.
void parallel_for(int64_t count, int threads, void (*work)(void*, int64_t), void* context);

int threads_allowed();
void allow_threads(int threads);  // 0: one for each core that this process may use

}  // namespace ppl
