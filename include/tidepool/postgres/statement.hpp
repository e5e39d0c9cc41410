// SPDX-License-Identifier: BSL-1.0
// tidepool - prepared statements.
#ifndef TIDEPOOL_POSTGRES_STATEMENT_HPP
#define TIDEPOOL_POSTGRES_STATEMENT_HPP

#include <libpq-fe.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../detail/util/lazy.hpp"
#include "../source_location.hpp"
#include "../version.hpp"
#include "codec.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// Names a statement that one connection has prepared. It lives as long as that connection, or until `reset_level::full`.
class statement {
 public:
  explicit statement(std::string name) : name_(std::move(name)) {}
  statement(std::string name, std::vector<Oid> types) : name_(std::move(name)), types_(std::move(types)), asked_(true) {}
  std::string_view name() const noexcept { return name_; }
  /// Whether `types()` says what the server takes.
  bool knows_types() const noexcept { return asked_; }
  /// The OIDs of the types the server has found for `$1`, `$2`, ...; empty where it was not asked.
  const std::vector<Oid>& types() const noexcept { return types_; }

 private:
  std::string name_;
  std::vector<Oid> types_;
  bool asked_ = false;
};

/// A prepared statement as an argument of `exec()` and its like: notes the place of the call, as `query_text` does.
class statement_use {
 public:
  statement_use(const statement& of, source_location from = source_location::current()) : of_(&of), from_(from) {}
  const statement& of() const noexcept { return *of_; }
  const source_location& from() const noexcept { return from_; }

 private:
  const statement* of_;
  source_location from_;
};

namespace detail {

/// The server reads a value in binary form as the type that the statement has in its place: bytes of a bytea would become an int4. A value
/// that is sent as text is parsed, or refused, by the server. Types of users are not checked: their OIDs are not known here.
TIDEPOOL_LAZY void check_binary_type(const std::vector<Oid>& wanted, std::size_t at, Oid given);
TIDEPOOL_LAZY [[noreturn, gnu::cold]] void refuse_count(std::size_t given, std::size_t taken);

template <class T>
void check_type(const std::vector<Oid>& wanted, std::size_t at, const T& value) {
  using C = codec_for<T>;
  if constexpr (codec_binary<C>() && codec_oid<C>() != 0) {
    if (at < wanted.size() && !is_null(value)) check_binary_type(wanted, at, codec_oid<C>());
  }
}
/// Types are looked at only where a value is sent in binary form.
template <class... Args>
void check_types(const statement& prepared, const Args&... args) {
  if (prepared.knows_types() && prepared.types().size() != sizeof...(args)) refuse_count(sizeof...(args), prepared.types().size());
  if constexpr ((codec_binary<codec_for<Args>>() || ...)) {
    std::size_t at = 0;
    (check_type(prepared.types(), at++, args), ...);
  }
}

}  // namespace detail
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#if TIDEPOOL_HEADER_ONLY
#include "impl/statement.ipp"
#endif

#endif
