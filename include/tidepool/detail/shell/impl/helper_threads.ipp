// SPDX-License-Identifier: BSL-1.0
// tidepool - threads of the standard library.
#ifndef TIDEPOOL_DETAIL_SHELL_IMPL_HELPER_THREADS_IPP
#define TIDEPOOL_DETAIL_SHELL_IMPL_HELPER_THREADS_IPP

#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

#include "../../../version.hpp"
#include "../helper_threads.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

struct helper_threads::list {
  std::vector<std::thread> all;
};

helper_threads::helper_threads() : list_(new list) {}

helper_threads::~helper_threads() {
  for (std::thread& one : list_->all) one.join();
}

TIDEPOOL_LAZY_BODY void helper_threads::start(std::size_t count, const std::function<void()>& body) {
  for (; count > 0; --count) list_->all.emplace_back(body);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
