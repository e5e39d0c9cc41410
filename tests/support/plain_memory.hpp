// SPDX-License-Identifier: BSL-1.0
// tidepool - the C library's memory with an alignment, for tests that replace `new`.
#ifndef TIDEPOOL_TESTS_PLAIN_MEMORY_HPP
#define TIDEPOOL_TESTS_PLAIN_MEMORY_HPP

#include <cstddef>
#include <cstdlib>

namespace tidepool_tests {

// Windows has no std::aligned_alloc, because its std::free could not free such a block.
#if defined(_WIN32)
/// Alignment 0: the usual one.
inline void* plain_allocate(std::size_t size, std::size_t alignment) noexcept {
  return ::_aligned_malloc(size ? size : 1, alignment ? alignment : alignof(std::max_align_t));
}
inline void plain_free(void* block) noexcept { ::_aligned_free(block); }
#else
/// Alignment 0: the usual one.
inline void* plain_allocate(std::size_t size, std::size_t alignment) noexcept {
  if (size == 0) size = 1;
  return alignment ? std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment) : std::malloc(size);
}
inline void plain_free(void* block) noexcept { std::free(block); }
#endif

}  // namespace tidepool_tests

#endif
