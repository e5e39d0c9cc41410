// SPDX-License-Identifier: BSL-1.0
// tidepool - one statement and its parameters, in one block of memory, in the form libpq takes.
#ifndef TIDEPOOL_POSTGRES_DETAIL_REQUEST_HPP
#define TIDEPOOL_POSTGRES_DETAIL_REQUEST_HPP

#include <libpq-fe.h>

#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "../../detail/util/lazy.hpp"
#include "../../version.hpp"
#include "../codec.hpp"
#include "../error.hpp"
#include "../query_text.hpp"
#include "../within.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

class request {
 public:
  enum class verb { simple, parameters, prepare, describe, prepared, close };

  /// Inlined, because every statement is moved from its verb to its coroutine.
  [[gnu::always_inline]] request(request&&) noexcept = default;
  request& operator=(request&&) noexcept = default;

  /// Many statements in one text, without parameters. `of`: the verb that sends it, for error texts; empty: script().
  TIDEPOOL_LAZY static request simple(query_text sql, std::string_view of = {});
  template <class... Args>
  static request parameters(query_text sql, const Args&... args) {
    request made(verb::parameters, sql, {}, sql.from());
    made.bind(args...);
    return made;
  }
  TIDEPOOL_LAZY static request prepare(std::string_view name, query_text sql, const std::vector<Oid>& types = {});
  /// Asks what a prepared statement takes and gives.
  TIDEPOOL_LAZY static request describe(std::string_view name);
  template <class... Args>
  static request prepared(std::string_view name, const source_location& from, const Args&... args) {
    request made(verb::prepared, {}, name, from);
    made.bind(args...);
    return made;
  }

  /// Closes a prepared statement on the server: by a Close message where libpq can send one, which has no effect on a transaction, else by
  /// SQL.
  TIDEPOOL_LAZY static request close(std::string_view name);
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
  /// The name it is sent by, or that it prepares; empty where it is sent as text.
  std::string_view statement_name() const {
    if (other_ != nullptr) return other_->statement_name();
    if (verb_ == verb::parameters || verb_ == verb::simple) return {};
    return other_name_ != nullptr ? std::string_view(other_name_) : std::string_view(name_text());
  }
  /// A statement of `prepare()`, whose text is not here.
  bool by_name() const { return kind() == verb::prepared && sql().empty(); }
  /// Where the program asked for it.
  const source_location& from() const { return other_ != nullptr ? other_->from() : from_; }
  /// How many parameters are given, or announced by `prepare`.
  std::size_t parameter_count() const { return other_ != nullptr ? other_->parameter_count() : values_.size(); }
  TIDEPOOL_LAZY std::vector<Oid> types() const;
  bool has_types(const std::vector<Oid>& given) const {
    if (given.size() != values_.size()) return false;
    for (std::size_t i = 0; i < given.size(); ++i) {
      if (values_[i].type != given[i]) return false;
    }
    return true;
  }
  /// Whether the server chooses the type of a parameter, by what it finds when the statement is parsed.
  TIDEPOOL_LAZY bool infers_types() const;
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
  TIDEPOOL_LAZY bool send(PGconn* connection) const;

 private:
  struct value {
    std::size_t at = 0, size = 0;
    bool null = false, binary = false;
    Oid type = 0;  ///< 0: the server finds out
  };

  request() : verb_(verb::simple) {}
  TIDEPOOL_LAZY request(verb v, std::string_view sql, std::string_view name, const source_location& from);
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
  TIDEPOOL_LAZY [[noreturn, gnu::cold]] void refuse_value(const error& failure) const;

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
  TIDEPOOL_LAZY [[noreturn, gnu::cold]] void refuse_size() const;
  static bool is_above_limit(std::size_t size) noexcept { return size > static_cast<std::size_t>(std::numeric_limits<int>::max() / 2); }

  template <class T>
  void add(const T&) {}  // refused at compile time, in words
  template <encodable T>
  void add(const T& given) {
    using C = codec_for<T>;
    if (is_null(given)) return add_null(codec_oid<C>());
    const auto& present = strip_optional(given);
    Oid type = codec_oid<C>();
    if constexpr (requires { C::oid_of(present); }) type = C::oid_of(present);
    if (is_above_limit(size_as_is<C>(present))) refuse_size();
    const auto at = arena_.size();
    C::encode(arena_, present);
    add_value(at, type, codec_binary<C>());
  }
  TIDEPOOL_LAZY void add_null(Oid type);
  /// Whose bytes are in the arena from `at` on.
  TIDEPOOL_LAZY void add_value(std::size_t at, Oid type, bool binary);

  verb verb_;
  const char* other_name_ = nullptr;
  const request* other_ = nullptr;
  source_location from_{};
  std::string arena_;  ///< the text, the name where there is one, the values, each with a zero at its end
  std::size_t sql_size_ = 0;
  std::vector<value> values_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#if TIDEPOOL_HEADER_ONLY
#include "../impl/request.ipp"
#endif

#endif
