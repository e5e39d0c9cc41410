// SPDX-License-Identifier: BSL-1.0
// tidepool - what a scripted server is asked and answers: values by the driver's codecs, columns, rows, statements, patterns.
#ifndef TIDEPOOL_TESTING_POSTGRES_VALUES_HPP
#define TIDEPOOL_TESTING_POSTGRES_VALUES_HPP

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "../../postgres/codec.hpp"
#include "../../postgres/codec_array.hpp"
#include "../../postgres/codec_binary.hpp"
#include "../../postgres/codec_interval.hpp"
#include "../../postgres/codec_time.hpp"
#include "../../postgres/detail/text.hpp"
#include "../../postgres/detail/types.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

namespace detail {

using tidepool::postgres::detail::printable;

inline std::string hex_of(std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out = "\\x";
  for (const char c : bytes) {
    out += digits[static_cast<unsigned char>(c) >> 4U];
    out += digits[static_cast<unsigned char>(c) & 15U];
  }
  return out;
}

/// The type a column of such values has where the codec names none.
template <class T>
constexpr Oid column_type_of() {
  using plain = tidepool::postgres::detail::codec_type<T>;
  constexpr Oid named = tidepool::postgres::detail::codec_oid<tidepool::postgres::detail::codec_for<T>>();
  if constexpr (named != 0) {
    return named;
  } else if constexpr (std::is_same_v<plain, bool>) {
    return 16;
  } else if constexpr (std::is_integral_v<plain>) {
    if (sizeof(plain) < 4 && std::is_signed_v<plain>) return 21;
    return sizeof(plain) < 4 || (sizeof(plain) == 4 && std::is_signed_v<plain>) ? 23 : 20;
  } else if constexpr (std::is_floating_point_v<plain>) {
    return sizeof(plain) == 4 ? 700 : 701;
  } else {
    return 25;
  }
}

/// White space outside of quotes counts as one blank, and a semicolon at the end does not count.
inline std::string normal_sql(std::string_view sql) {
  std::string out;
  char quote = '\0';
  for (const char c : sql) {
    const bool blank = c == ' ' || (c >= '\t' && c <= '\r');
    if (quote == '\0' && blank) {
      if (!out.empty() && out.back() != ' ') out += ' ';
      continue;
    }
    if (quote == '\0' && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == quote) {
      quote = '\0';
    }
    out += c;
  }
  while (!out.empty() && (out.back() == ' ' || out.back() == ';')) out.pop_back();
  return out;
}

}  // namespace detail

/// A value of a row, or of a parameter: anything the driver takes as a parameter, by its codec. `nullptr` and an empty optional are NULL.
class sql_value {
 public:
  template <class T>
  requires(!std::is_same_v<std::remove_cvref_t<T>, sql_value> && tidepool::postgres::encodable<T>) sql_value(const T& given)
      : type_(detail::column_type_of<T>()) {
    namespace codecs = tidepool::postgres::detail;
    if (codecs::is_null(given)) return;
    using codec = codecs::codec_for<T>;
    std::string sent;
    codec::encode(sent, codecs::strip_optional(given));
    if constexpr (codecs::codec_binary<codec>()) {
      as_sent_ = detail::hex_of(sent);
      if constexpr (requires(std::string & out) { codec::encode_text(out, codecs::strip_optional(given)); }) {
        text_.emplace();
        codec::encode_text(*text_, codecs::strip_optional(given));
      } else {
        text_ = as_sent_;
      }
    } else {
      text_ = as_sent_ = std::move(sent);
    }
  }

  /// As the server writes it; empty for NULL.
  const std::optional<std::string>& text() const noexcept { return text_; }
  /// As the driver sends it as a parameter: text, and `\x...` for what it sends in binary form.
  const std::optional<std::string>& as_sent() const noexcept { return as_sent_; }
  /// The OID of its type.
  Oid type() const noexcept { return type_; }

 private:
  std::optional<std::string> text_;
  std::optional<std::string> as_sent_;
  Oid type_;
};

/// The name of a column, and by choice its type: `{"balance", "numeric"}`. Without one the type is that of the first row's value.
class sql_column {
 public:
  sql_column(const char* name) : name_(name) {}
  sql_column(std::string name) : name_(std::move(name)) {}
  /// Throws std::invalid_argument when there is no such built-in type.
  sql_column(std::string name, std::string_view type) : name_(std::move(name)), type_(oid_of(type)) {}
  /// For types of users and extensions.
  sql_column(std::string name, Oid type) : name_(std::move(name)), type_(type) {}

  const std::string& name() const noexcept { return name_; }
  Oid type() const noexcept { return type_; }

 private:
  static Oid oid_of(std::string_view type) {
    for (const auto& entry : tidepool::postgres::detail::builtin_types) {
      if (type == entry.name) return entry.oid;
      if (type.size() > 2 && type.ends_with("[]") && type.substr(0, type.size() - 2) == entry.name) return entry.array;
    }
    throw std::invalid_argument("sql_column: there is no built-in type \"" + std::string(type) + "\": give its OID");
  }

  std::string name_;
  Oid type_ = 0;
};

/// One row of an answer: `{1, "ann", nullptr}`, or a tuple.
class sql_row {
 public:
  sql_row(std::initializer_list<sql_value> values) : values_(values) {}
  explicit sql_row(std::vector<sql_value> values) : values_(std::move(values)) {}
  template <class... T>
  explicit sql_row(const std::tuple<T...>& values) {
    std::apply([this](const T&... each) { (values_.emplace_back(each), ...); }, values);
  }
  const std::vector<sql_value>& values() const noexcept { return values_; }

 private:
  std::vector<sql_value> values_;
};

/// A statement as a scripted server got it.
struct sql_statement {
  std::string sql;
  std::vector<std::optional<std::string>> parameters = {};  ///< as text; `\x...` for what was sent in binary form; empty for NULL
  std::uint64_t session = 0;                                ///< 1 for the first connection
  bool in_transaction = false;                              ///< a transaction was open
  std::string answer = {};                                  ///< the command tag, the SQLSTATE, or "" when there was none
  std::string copied = {};                                  ///< what COPY ... FROM STDIN has sent

  /// `update t set a = $1 [7, NULL]`, escaped and cut.
  std::string text() const {
    std::string out = detail::printable(sql, 300);
    if (parameters.empty()) return out;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      out += i == 0 ? " [" : ", ";
      out += parameters[i] ? detail::printable(*parameters[i], 80) : "NULL";
    }
    return out + "]";
  }
};

/// Which statements are meant. A string is the whole text, where white space outside of quotes and a semicolon at the end do not matter.
class sql_pattern {
 public:
  sql_pattern(const char* whole) : sql_pattern(std::string(whole)) {}
  sql_pattern(std::string_view whole) : sql_pattern(std::string(whole)) {}
  sql_pattern(std::string whole) : words_("\"" + detail::printable(whole, 300) + "\"") {
    fits_ = [normal = detail::normal_sql(whole)](const sql_statement& got) { return detail::normal_sql(got.sql) == normal; };
  }
  sql_pattern(std::string words, std::function<bool(const sql_statement&)> fits) : words_(std::move(words)), fits_(std::move(fits)) {}

  /// Whether it is such a statement.
  bool fits(const sql_statement& got) const { return fits_(got); }
  const std::string& words() const noexcept { return words_; }

 private:
  std::string words_;
  std::function<bool(const sql_statement&)> fits_;
};

/// Statements that begin like this; white space as for whole texts.
inline sql_pattern sql_prefix(std::string_view begin) {
  return {"what begins with \"" + detail::printable(begin, 300) + "\"",
          [normal = detail::normal_sql(begin)](const sql_statement& got) { return detail::normal_sql(got.sql).starts_with(normal); }};
}
/// Statements in which the regular expression (ECMAScript, case does not matter) is found. Throws std::regex_error.
inline sql_pattern sql_regex(const std::string& expression) {
  return {"what matches /" + detail::printable(expression, 300) + "/",
          [compiled = std::regex(expression, std::regex::ECMAScript | std::regex::icase)](const sql_statement& got) {
            return std::regex_search(got.sql, compiled);
          }};
}
/// Statements for which `fits` returns true; `words` names them in messages.
inline sql_pattern sql_where(std::string words, std::function<bool(const sql_statement&)> fits) {
  return {std::move(words), std::move(fits)};
}
inline sql_pattern any_sql() {
  return {"any statement", [](const sql_statement&) { return true; }};
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
