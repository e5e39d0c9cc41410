// SPDX-License-Identifier: BSL-1.0
// tidepool - all forms of `new` and `delete` of a program by two functions of a test. Included by one file of a program, after it has
// defined `void* test_allocate(std::size_t size, std::size_t alignment) noexcept` (null: no memory; alignment 0: the usual one) and
// `void test_free(void*) noexcept`. All forms, so that none is mixed with a library's.
#ifndef TIDEPOOL_TESTS_REPLACED_NEW_HPP
#define TIDEPOOL_TESTS_REPLACED_NEW_HPP

#include <cstdlib>
#include <new>

namespace tidepool_tests {
inline void* or_throw(void* block) {
  if (!block) throw std::bad_alloc();
  return block;
}
}  // namespace tidepool_tests

void* operator new(std::size_t n) { return tidepool_tests::or_throw(test_allocate(n, 0)); }
void* operator new[](std::size_t n) { return tidepool_tests::or_throw(test_allocate(n, 0)); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return test_allocate(n, 0); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return test_allocate(n, 0); }
void* operator new(std::size_t n, std::align_val_t a) { return tidepool_tests::or_throw(test_allocate(n, static_cast<std::size_t>(a))); }
void* operator new[](std::size_t n, std::align_val_t a) { return tidepool_tests::or_throw(test_allocate(n, static_cast<std::size_t>(a))); }
void operator delete(void* p) noexcept { test_free(p); }
void operator delete[](void* p) noexcept { test_free(p); }
void operator delete(void* p, std::size_t) noexcept { test_free(p); }
void operator delete[](void* p, std::size_t) noexcept { test_free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { test_free(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { test_free(p); }
void operator delete(void* p, std::align_val_t) noexcept { test_free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { test_free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { test_free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { test_free(p); }

#endif
