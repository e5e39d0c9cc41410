// SPDX-License-Identifier: BSL-1.0
// tidepool - threads that do the same, for as long as that takes.
#ifndef TIDEPOOL_DETAIL_SHELL_HELPER_THREADS_HPP
#define TIDEPOOL_DETAIL_SHELL_HELPER_THREADS_HPP

#include <cstddef>
#include <functional>

#include "../../version.hpp"
#include "../util/lazy.hpp"
#include "../util/linkage.hpp"
#include "../util/owning_ptr.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Waits for them at its end. <thread> is included by its .ipp file alone.
class helper_threads {
 public:
  TIDEPOOL_DECL helper_threads();
  helper_threads(const helper_threads&) = delete;
  helper_threads& operator=(const helper_threads&) = delete;
  TIDEPOOL_DECL ~helper_threads();

  /// `count` more. Throws where there are no more; those that run go on.
  TIDEPOOL_LAZY void start(std::size_t count, const std::function<void()>& body);

 private:
  struct list;
  const owning_ptr<list> list_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#if TIDEPOOL_HEADER_ONLY
#include "impl/helper_threads.ipp"
#endif

#endif
