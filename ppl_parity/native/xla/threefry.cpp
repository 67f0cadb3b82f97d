// JAX's random bits, threefry2x32 over a 64-bit counter, in one custom call each: XLA's CPU compiler would make a
// loop of a hundred operations of every one, which take as long to compile as all else that NUTS does.
//
// Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3 (2011), with 20 rounds.
#include <algorithm>
#include <cstdint>

#include "../mixture.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

// Counters at once, which a compiler turns into vectors: many where many are asked for, and few where few are.
constexpr size_t MANY = 32, FEW = 4;

template <size_t LANES, int BY>
void mix(uint32_t* first, uint32_t* second) {
  for (size_t i = 0; i < LANES; i++) {
    first[i] += second[i];
    second[i] = first[i] ^ (second[i] << BY | second[i] >> (32 - BY));
  }
}

template <size_t LANES>
void add(uint32_t* words, uint32_t key) {
  for (size_t i = 0; i < LANES; i++) words[i] += key;
}

// The words of `first` and `second`, halves of LANES counters, become random.
template <size_t LANES>
void threefry(const uint32_t* key, uint32_t* first, uint32_t* second) {
  const uint32_t keys[3] = {key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDA};
  add<LANES>(first, keys[0]);
  add<LANES>(second, keys[1]);
  for (uint32_t group = 0; group < 5; group++) {
    if (group % 2 == 0) {
      mix<LANES, 13>(first, second);
      mix<LANES, 15>(first, second);
      mix<LANES, 26>(first, second);
      mix<LANES, 6>(first, second);
    } else {
      mix<LANES, 17>(first, second);
      mix<LANES, 29>(first, second);
      mix<LANES, 16>(first, second);
      mix<LANES, 24>(first, second);
    }
    add<LANES>(first, keys[(group + 1) % 3]);
    add<LANES>(second, keys[(group + 2) % 3] + group + 1);
  }
}

// `each(first, second, i)` for the results from `begin` to `end` of one key, the first of which is `offset`.
template <size_t LANES, typename Each>
void run(const uint32_t* key, size_t begin, size_t end, size_t offset, Each each) {
  for (; begin < end; begin += LANES) {
    uint32_t first[LANES], second[LANES];
    for (size_t i = 0; i < LANES; i++) first[i] = uint32_t(uint64_t(begin + i) >> 32);
    for (size_t i = 0; i < LANES; i++) second[i] = uint32_t(begin + i);
    threefry<LANES>(key, first, second);
    const size_t count = std::min(LANES, end - begin);
    for (size_t i = 0; i < count; i++) each(first[i], second[i], offset + begin + i);
  }
}

// The same for all results; of each key there are as many, for counters from 0.
template <typename Each>
ffi::Error for_each(const ffi::Buffer<ffi::U32>& keys, size_t results, Each each) {
  const size_t num_keys = keys.element_count() / 2;
  if (keys.element_count() % 2 != 0 || (num_keys != 0 && results % num_keys != 0))
    return ffi::Error::InvalidArgument("random bits take keys (..., 2) and give as many for each");
  for (size_t k = 0; k < num_keys; k++) {
    const size_t own = results / num_keys, many = own / MANY * MANY;
    run<MANY>(keys.typed_data() + 2 * k, 0, many, k * own, each);
    run<FEW>(keys.typed_data() + 2 * k, many, own, k * own, each);
  }
  return ffi::Error::Success();
}

ffi::Error bits(ffi::Buffer<ffi::U32> keys, ffi::Result<ffi::AnyBuffer> result) {
  if (result->element_type() == ffi::U64) {
    uint64_t* to = static_cast<uint64_t*>(result->untyped_data());
    return for_each(keys, result->element_count(),
                    [to](uint32_t first, uint32_t second, size_t i) { to[i] = uint64_t(first) << 32 | second; });
  }
  if (result->element_type() != ffi::U32) return ffi::Error::InvalidArgument("random bits are of 32 or 64");
  uint32_t* to = static_cast<uint32_t*>(result->untyped_data());
  return for_each(keys, result->element_count(),
                  [to](uint32_t first, uint32_t second, size_t i) { to[i] = first ^ second; });
}

ffi::Error split(ffi::Buffer<ffi::U32> keys, ffi::Result<ffi::Buffer<ffi::U32>> result) {
  uint32_t* to = result->typed_data();
  return for_each(keys, result->element_count() / 2, [to](uint32_t first, uint32_t second, size_t i) {
    to[2 * i] = first;
    to[2 * i + 1] = second;
  });
}

ffi::Error fold_in(ffi::Buffer<ffi::U32> keys, ffi::Buffer<ffi::U32> data, ffi::Result<ffi::Buffer<ffi::U32>> result) {
  if (keys.element_count() != 2 * data.element_count() || keys.element_count() != result->element_count())
    return ffi::Error::InvalidArgument("folding in takes keys (..., 2) and a number for each");
  uint32_t* to = result->typed_data();
  for (size_t i = 0; i < data.element_count(); i++) {
    uint32_t first[1] = {0}, second[1] = {data.typed_data()[i]};
    threefry<1>(keys.typed_data() + 2 * i, first, second);
    to[2 * i] = first[0];
    to[2 * i + 1] = second[0];
  }
  return ffi::Error::Success();
}

}  // namespace

#pragma GCC visibility push(default)
XLA_FFI_DEFINE_HANDLER_SYMBOL(ppl_random_bits_xla, bits,
                              ffi::Ffi::Bind().Arg<ffi::Buffer<ffi::U32>>().Ret<ffi::AnyBuffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(ppl_random_split_xla, split,
                              ffi::Ffi::Bind().Arg<ffi::Buffer<ffi::U32>>().Ret<ffi::Buffer<ffi::U32>>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    ppl_random_fold_in_xla, fold_in,
    ffi::Ffi::Bind().Arg<ffi::Buffer<ffi::U32>>().Arg<ffi::Buffer<ffi::U32>>().Ret<ffi::Buffer<ffi::U32>>());
#pragma GCC visibility pop
