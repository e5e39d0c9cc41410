// SPDX-License-Identifier: BSL-1.0
// tidepool - one statement of a pipeline, and its answer.
#ifndef TIDEPOOL_POSTGRES_DETAIL_PIPELINE_ENTRY_HPP
#define TIDEPOOL_POSTGRES_DETAIL_PIPELINE_ENTRY_HPP

#include <exception>
#include <optional>
#include <utility>

#include "../../version.hpp"
#include "../result.hpp"
#include "request.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

struct pipeline_entry {
  explicit pipeline_entry(request statement) : what(std::move(statement)) {}
  request what;
  std::optional<result> got;
  std::exception_ptr failure;
  bool sent = false;     ///< it may have reached the server
  bool settled = false;  ///< its Sync was answered: what it got is final
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
