// SPDX-License-Identifier: BSL-1.0
// tidepool - one statement and its parameters, in one block of memory, in the form libpq takes.
#ifndef TIDEPOOL_POSTGRES_DETAIL_REQUEST_HPP
#define TIDEPOOL_POSTGRES_DETAIL_REQUEST_HPP

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "../../version.hpp"
#include "../codec.hpp"
#include "../error.hpp"
#include "../query_text.hpp"
#include "../within.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

class request {
 public:
  enum class verb { simple, parameters, prepare, describe, prepared, close };

  /// Many statements in one text, without parameters. `of`: the verb that sends it, for error texts; empty: script().
  static request simple(query_text sql, std::string_view of = {}) { return request(verb::simple, sql, of, sql.from()); }
  template <class... Args>
  static request parameters(query_text sql, const Args&... args) {
    request made(verb::parameters, sql, {}, sql.from());
    made.bind(args...);
    return made;
  }
  static request prepare(std::string_view name, query_text sql, const std::vector<Oid>& types = {}) {
    request made(verb::prepare, sql, name, sql.from());
    made.values_.resize(types.size());
    for (std::size_t i = 0; i < types.size(); ++i) made.values_[i].type = types[i];
    return made;
  }
  /// Asks what a prepared statement takes and gives.
  static request describe(std::string_view name) { return request(verb::describe, {}, name, {}); }
  template <class... Args>
  static request prepared(std::string_view name, const source_location& from, const Args&... args) {
    request made(verb::prepared, {}, name, from);
    made.bind(args...);
    return made;
  }

  /// Closes a prepared statement on the server: by a Close message where libpq can send one, which has no effect on a transaction, else by
  /// SQL.
  static request close(std::string_view name) {
#ifdef LIBPQ_HAS_CLOSE_PREPARED
    return request(verb::close, {}, name, {});
#else
    return simple("deallocate " + std::string(name), "exec()");
#endif
  }
  /// Refers to another request without a copy. That one has to live until this was sent.
  static request borrowed(const request& other) {
    request made;
    made.other_ = &other;
    made.limit = other.limit;
    return made;
  }

  /// The same parameters, sent to a prepared statement. The name has to live until then.
  void use_statement(const char* name) {
    verb_ = verb::prepared;
    other_name_ = name;
  }
  /// And back.
  void use_text() { verb_ = verb::parameters; }
  std::string_view sql() const { return other_ != nullptr ? other_->sql() : std::string_view(arena_.data(), sql_size_); }
  /// Of the prepared statement.
  std::string_view name() const { return name_text(); }
  /// A statement of `prepare()`, whose text is not here.
  bool by_name() const { return kind() == verb::prepared && sql().empty(); }
  /// Where the program asked for it.
  const source_location& from() const { return other_ != nullptr ? other_->from() : from_; }
  /// How many parameters are given, or announced by `prepare`.
  std::size_t parameter_count() const { return other_ != nullptr ? other_->parameter_count() : values_.size(); }
  std::vector<Oid> types() const {
    std::vector<Oid> out(values_.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = values_[i].type;
    return out;
  }
  /// Whether the server chooses the type of a parameter, by what it finds when the statement is parsed.
  bool infers_types() const {
    return std::any_of(values_.begin(), values_.end(), [](const value& each) { return each.type == 0; });
  }
  /// About how many bytes are sent.
  std::size_t size() const { return other_ != nullptr ? other_->size() : arena_.size(); }
  verb kind() const { return other_ != nullptr ? other_->kind() : verb_; }
  /// Which function of a connection sends it, for error texts.
  std::string_view called() const {
    if (other_ != nullptr) return other_->called();
    if (verb_ != verb::simple) return "exec()";
    return name().empty() ? std::string_view("script()") : name();
  }

  /// See `within`.
  duration limit = no_limit;

  /// Puts it into libpq's output buffer; false: libpq refused it, and its error message says why.
  bool send(PGconn* connection) const {
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

 private:
  struct value {
    std::size_t at = 0, size = 0;
    bool null = false, binary = false;
    Oid type = 0;  ///< 0: the server finds out
  };

  request() : verb_(verb::simple) {}
  request(verb v, std::string_view sql, std::string_view name, const source_location& from) : verb_(v), from_(from), sql_size_(sql.size()) {
    if (sql.find('\0') != std::string_view::npos) throw error(errc::bad_parameter, "the statement holds a NUL byte");
    arena_.reserve(sql.size() + name.size() + 64);
    arena_.append(sql);
    arena_ += '\0';
    if (!name.empty()) {
      arena_.append(name);
      arena_ += '\0';
    }
  }
  /// Of the statement that is prepared, described, run or closed.
  const char* name_text() const { return arena_.data() + sql_size_ + 1; }

  template <class... Args>
  void bind(const Args&... args) {
    static_assert(sizeof...(Args) <= 65535, "PostgreSQL takes at most 65535 parameters");
    if constexpr (sizeof...(Args) > 0) {
      values_.reserve(sizeof...(Args));
      try {
        (add(args), ...);
      } catch (const error& failure) {
        refuse_value(failure);
      }
    }
  }
  /// Says which parameter it is that a codec refuses.
  [[noreturn]] void refuse_value(const error& failure) const {
    std::string said(failure.explanation());
    if (!said.starts_with("parameter $")) said.insert(0, "parameter $" + std::to_string(values_.size() + 1) + ": ");
    throw error(failure.reason(), said);
  }

  /// The size of a value that is sent as it is: one that is too large is refused before it is copied. Zero where the codec decides.
  template <class C, class T>
  static std::size_t size_as_is(const T& given) {
    if constexpr (std::is_same_v<C, codec<std::string>> || std::is_same_v<C, codec<std::string_view>>) {
      return std::string_view(given).size();
    } else if constexpr (std::is_base_of_v<bytea_parameter, C>) {
      return C::bytes(given).size();
    } else {
      return 0;
    }
  }
  void refuse_above_limit(std::size_t size) const {
    if (size <= static_cast<std::size_t>(std::numeric_limits<int>::max() / 2)) return;
    throw error(errc::bad_parameter, "parameter $" + std::to_string(values_.size() + 1) + " is larger than 1 GB");
  }

  template <class T>
  void add(const T&) {}  // refused at compile time, in words
  template <encodable T>
  void add(const T& given) {
    value made;
    made.at = arena_.size();
    if (!is_null(given)) {
      using C = codec_for<T>;
      if constexpr (requires { C::oid_of(strip_optional(given)); }) {
        made.type = C::oid_of(strip_optional(given));
      } else {
        made.type = codec_oid<C>();
      }
      made.binary = codec_binary<C>();
      refuse_above_limit(size_as_is<C>(strip_optional(given)));
      C::encode(arena_, strip_optional(given));
      made.size = arena_.size() - made.at;
      refuse_above_limit(made.size);
      if (!made.binary && std::string_view(arena_).substr(made.at).find('\0') != std::string_view::npos) {
        throw error(errc::bad_parameter, "parameter $" + std::to_string(values_.size() + 1) +
                                             " holds a NUL byte, which text cannot: send bytes as std::vector<std::byte>");
      }
      arena_ += '\0';
    } else {
      made.null = true;
      made.type = codec_oid<codec_for<T>>();
    }
    values_.push_back(made);
  }

  verb verb_;
  const char* other_name_ = nullptr;
  const request* other_ = nullptr;
  source_location from_{};
  std::string arena_;  ///< the text, the name where there is one, the values, each with a zero at its end
  std::size_t sql_size_ = 0;
  std::vector<value> values_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
