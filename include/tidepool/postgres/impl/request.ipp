// SPDX-License-Identifier: BSL-1.0
// tidepool - requests: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_REQUEST_IPP
#define TIDEPOOL_POSTGRES_IMPL_REQUEST_IPP

#include <algorithm>
#include <array>

#include "../../version.hpp"
#include "../detail/request.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

TIDEPOOL_LAZY_BODY request request::simple(query_text sql, std::string_view of) { return request(verb::simple, sql, of, sql.from()); }
TIDEPOOL_LAZY_BODY request request::prepare(std::string_view name, query_text sql, const std::vector<Oid>& types) {
  request made(verb::prepare, sql, name, sql.from());
  made.values_.resize(types.size());
  for (std::size_t i = 0; i < types.size(); ++i) made.values_[i].type = types[i];
  return made;
}
TIDEPOOL_LAZY_BODY request request::describe(std::string_view name) { return request(verb::describe, {}, name, {}); }
TIDEPOOL_LAZY_BODY request request::close(std::string_view name) {
#ifdef LIBPQ_HAS_CLOSE_PREPARED
  return request(verb::close, {}, name, {});
#else
  return simple("deallocate " + std::string(name), "exec()");
#endif
}

TIDEPOOL_LAZY_BODY request::request(verb v, std::string_view sql, std::string_view name, const source_location& from)
    : verb_(v), from_(from), sql_size_(sql.size()) {
  if (sql.find('\0') != std::string_view::npos) throw error(errc::bad_parameter, "the statement holds a NUL byte");
  arena_.reserve(sql.size() + name.size() + 64);
  arena_.append(sql);
  arena_ += '\0';
  if (!name.empty()) {
    arena_.append(name);
    arena_ += '\0';
  }
}

TIDEPOOL_LAZY_BODY std::vector<Oid> request::types() const {
  std::vector<Oid> out(values_.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = values_[i].type;
  return out;
}
TIDEPOOL_LAZY_BODY bool request::infers_types() const {
  return std::any_of(values_.begin(), values_.end(), [](const value& each) { return each.type == 0; });
}

TIDEPOOL_LAZY_BODY bool request::send(PGconn* connection) const {
  if (other_ != nullptr) return other_->send(connection);
  switch (verb_) {
    case verb::simple: return PQsendQuery(connection, arena_.c_str()) == 1;
    case verb::prepare: {
      const auto all = types();
      return PQsendPrepare(connection, name_text(), arena_.c_str(), static_cast<int>(all.size()), all.data()) == 1;
    }
    case verb::describe: return PQsendDescribePrepared(connection, name_text()) == 1;
#ifdef LIBPQ_HAS_CLOSE_PREPARED
    case verb::close: return PQsendClosePrepared(connection, name_text()) == 1;
#endif
    default: break;
  }
  constexpr std::size_t few = 16;
  std::array<const char*, few> near_pointers;
  std::array<int, 2 * few> near_numbers;
  std::array<Oid, few> near_types;
  std::vector<const char*> far_pointers;
  std::vector<int> far_numbers;
  std::vector<Oid> far_types;
  const char** pointers = near_pointers.data();
  int* lengths = near_numbers.data();
  Oid* types_of = near_types.data();
  const auto count = values_.size();
  if (count > few) {
    far_pointers.resize(count);
    far_numbers.resize(2 * count);
    far_types.resize(count);
    pointers = far_pointers.data();
    lengths = far_numbers.data();
    types_of = far_types.data();
  }
  int* formats = lengths + count;
  for (std::size_t i = 0; i < count; ++i) {
    pointers[i] = values_[i].null ? nullptr : arena_.data() + values_[i].at;
    lengths[i] = static_cast<int>(values_[i].size);
    formats[i] = values_[i].binary ? 1 : 0;
    types_of[i] = values_[i].type;
  }
  const int n = static_cast<int>(count);
  if (verb_ == verb::prepared) {
    const char* const name = other_name_ != nullptr ? other_name_ : name_text();
    return PQsendQueryPrepared(connection, name, n, pointers, lengths, formats, 0) == 1;
  }
  return PQsendQueryParams(connection, arena_.c_str(), n, types_of, pointers, lengths, formats, 0) == 1;
}

TIDEPOOL_LAZY_BODY void request::add_null(Oid type) {
  value made;
  made.at = arena_.size();
  made.null = true;
  made.type = type;
  values_.push_back(made);
}
TIDEPOOL_LAZY_BODY void request::add_value(std::size_t at, Oid type, bool binary) {
  value made;
  made.at = at;
  made.size = arena_.size() - at;
  made.binary = binary;
  made.type = type;
  if (is_above_limit(made.size)) refuse_size();
  if (!binary && std::string_view(arena_).substr(at).find('\0') != std::string_view::npos) {
    throw error(errc::bad_parameter, "parameter $" + std::to_string(values_.size() + 1) +
                                         " holds a NUL byte, which text cannot: send bytes as std::vector<std::byte>");
  }
  arena_ += '\0';
  values_.push_back(made);
}
TIDEPOOL_LAZY_BODY void request::refuse_value(const error& failure) const {
  std::string said(failure.explanation());
  if (!said.starts_with("parameter $")) said.insert(0, "parameter $" + std::to_string(values_.size() + 1) + ": ");
  throw error(failure.reason(), said);
}
TIDEPOOL_LAZY_BODY void request::refuse_size() const {
  throw error(errc::bad_parameter, "parameter $" + std::to_string(values_.size() + 1) + " is larger than 1 GB");
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
