// SPDX-License-Identifier: BSL-1.0
// tidepool - the errors of reading a result: which row, column and type, and, by choice, which value and statement.
#ifndef TIDEPOOL_POSTGRES_DETAIL_READ_ERROR_HPP
#define TIDEPOOL_POSTGRES_DETAIL_READ_ERROR_HPP

#include <libpq-fe.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "../../detail/util/lazy.hpp"
#include "../../version.hpp"
#include "../error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// `type` returns the name of the C++ type.
TIDEPOOL_LAZY [[noreturn, gnu::cold, gnu::noinline]] void throw_null(const PGresult* of, std::uint64_t row, int column,
                                                                     std::string (*type)());
TIDEPOOL_LAZY [[noreturn, gnu::cold, gnu::noinline]] void throw_unreadable(const PGresult* of, std::uint64_t row, int column,
                                                                           std::string_view value, std::string (*type)(), const error& why);
TIDEPOOL_LAZY [[noreturn, gnu::cold, gnu::noinline]] void throw_columns(const PGresult* of, std::size_t wanted, std::string (*type)());
TIDEPOOL_LAZY [[noreturn, gnu::cold, gnu::noinline]] void throw_rows(const PGresult* of, std::size_t rows, bool none_allowed);
TIDEPOOL_LAZY [[noreturn, gnu::cold, gnu::noinline]] void throw_no_column(const PGresult* of, std::size_t index);
TIDEPOOL_LAZY [[noreturn, gnu::cold, gnu::noinline]] void throw_no_column(const PGresult* of, std::string_view name);
TIDEPOOL_LAZY [[noreturn, gnu::cold, gnu::noinline]] void throw_no_row(const PGresult* of, std::size_t index, std::size_t size);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#if TIDEPOOL_HEADER_ONLY
#include "../impl/read_error.ipp"
#endif

#endif
