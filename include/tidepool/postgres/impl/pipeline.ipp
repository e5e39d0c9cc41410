// SPDX-License-Identifier: BSL-1.0
// tidepool - answers of pipelines: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_PIPELINE_IPP
#define TIDEPOOL_POSTGRES_IMPL_PIPELINE_IPP

#include <exception>
#include <memory>
#include <utility>

#include "../../detail/util/smaller.hpp"
#include "../../version.hpp"
#include "../detail/pipeline_entry.hpp"
#include "../error.hpp"
#include "../pipeline.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

TIDEPOOL_LAZY_BODY pipeline::pipeline(detail::base_ptr s, pipeline_mode mode, duration limit)
    : session_(std::move(s)), mode_(mode), limit_(limit) {}
TIDEPOOL_LAZY_BODY pipeline_result pipeline::add(detail::request&& statement) {
  entries_.push_back(std::make_shared<detail::pipeline_entry>(std::move(statement)));
  return pipeline_result(entries_.back());
}
TIDEPOOL_LAZY_BODY asio::awaitable<void> pipeline::run() {
  return session_->run_pipeline(session_, mode_, std::exchange(entries_, {}), limit_);
}
TIDEPOOL_LAZY_BODY asio::awaitable<void> pipeline::run(within limit) {
  return session_->run_pipeline(session_, mode_, std::exchange(entries_, {}), tidepool::detail::smaller_of(limit_, limit.limit()));
}

TIDEPOOL_LAZY_BODY const result& pipeline_result::get() const {
  if (entry_->failure) std::rethrow_exception(entry_->failure);
  if (entry_->settled) return *entry_->got;
  if (entry_->sent) throw error(errc::outcome_unknown, "the pipeline was given up before this statement's end was answered");
  throw error(errc::bad_usage, "the pipeline has not run yet: co_await its run() first");
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
