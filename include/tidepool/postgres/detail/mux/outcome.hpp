// SPDX-License-Identifier: BSL-1.0
// tidepool - what callers of the multiplexer are told, in words and numbers.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_OUTCOME_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_OUTCOME_HPP

#include <exception>

#include "../../../bounded_string.hpp"
#include "../../../detail/util/lazy.hpp"
#include "../../../version.hpp"
#include "../../multiplexer_stats.hpp"
#include "job.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

class dispatcher;

/// Throws what a statement ended with. `trouble`: why there was no lane.
TIDEPOOL_LAZY [[noreturn, gnu::cold]] void fail(const job& about, verdict how, const std::exception_ptr& failure,
                                                const std::exception_ptr& trouble);
/// What a statement failed with, in a word: its SQLSTATE, where it has one.
TIDEPOOL_LAZY bounded_string<47> failure_in_a_word(const std::exception_ptr& failure) noexcept;
/// Without the slowest statements.
TIDEPOOL_LAZY multiplexer_stats numbers_of(const dispatcher& state, tick now);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#if TIDEPOOL_HEADER_ONLY
#include "../../impl/mux_outcome.ipp"
#endif

#endif
