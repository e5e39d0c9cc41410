// SPDX-License-Identifier: BSL-1.0
// tidepool - one type for what is told of a coroutine's end.
#ifndef TIDEPOOL_TESTS_SUPPORT_ON_END_HPP
#define TIDEPOOL_TESTS_SUPPORT_ON_END_HPP

#include <exception>
#include <functional>

namespace tidepool_tests {

/// A handler for `co_spawn()`. A compiler writes over a hundred functions for each type of handler and of function object that is given to
/// `co_spawn()`: some 0.3 s. So tests give it this rather than a lambda, and `work()` rather than `work`.
using on_end = std::function<void(std::exception_ptr)>;
/// The same for a coroutine with a result.
template <class T>
using on_end_of = std::function<void(std::exception_ptr, T)>;

}  // namespace tidepool_tests

#endif
