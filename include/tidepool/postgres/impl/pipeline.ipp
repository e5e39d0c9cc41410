// SPDX-License-Identifier: BSL-1.0
// tidepool - answers of pipelines: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_PIPELINE_IPP
#define TIDEPOOL_POSTGRES_IMPL_PIPELINE_IPP

#include <exception>

#include "../../version.hpp"
#include "../error.hpp"
#include "../pipeline.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

TIDEPOOL_LAZY_BODY const result& pipeline_result::get() const {
  if (entry_->failure) std::rethrow_exception(entry_->failure);
  if (entry_->settled) return *entry_->got;
  if (entry_->sent) throw error(errc::outcome_unknown, "the pipeline was given up before this statement's end was answered");
  throw error(errc::bad_usage, "the pipeline has not run yet: co_await its run() first");
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
