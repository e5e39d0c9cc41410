// tidepool - PostgreSQL arrays as std::vector, nested ones as several dimensions.
#ifndef TIDEPOOL_POSTGRES_CODEC_ARRAY_HPP
#define TIDEPOOL_POSTGRES_CODEC_ARRAY_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "codec.hpp"

namespace tidepool::postgres {
namespace detail {

template <class T>
struct is_nested : std::false_type {};
template <class T>
struct is_nested<std::vector<T>> : std::negation<std::is_same<T, std::byte>> {};

/// Reads the text form of an array: `{1,2,NULL,"a,b"}`, `{{1,2},{3,4}}`, `[0:1]={7,8}`.
class array_reader {
 public:
  explicit array_reader(std::string_view text) : text_(text) {
    // Bounds that do not start at 1 come first.
    if (!text_.empty() && text_[0] == '[') {
      const auto equals = text_.find('=');
      if (equals == std::string_view::npos) fail();
      at_ = equals + 1;
    }
  }
  template <class T>
  void read(std::vector<T>& out) {
    expect('{');
    if (accept('}')) return;
    do {
      if constexpr (is_nested<T>::value) {
        out.emplace_back();
        read(out.back());
      } else {
        out.push_back(element<T>());
      }
    } while (accept(','));
    expect('}');
  }
  void finish() const {
    if (at_ != text_.size()) fail();
  }

 private:
  [[noreturn]] static void fail() { throw conversion_error("an array"); }
  bool accept(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail();
  }
  template <class T>
  T element() {
    word_.clear();
    const bool quoted = accept('"');
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (quoted ? c == '"' : c == ',' || c == '}') break;
      if (c == '{' && !quoted) throw conversion_error("an array of that many dimensions");
      if (c == '\\' && ++at_ >= text_.size()) fail();
      word_ += text_[at_++];
    }
    if (quoted) expect('"');
    if (!quoted && word_ == "NULL") {
      if constexpr (is_optional<T>::value) {
        return T();
      } else {
        throw error(errc::null_value, "NULL in an array");
      }
    }
    return codec<typename unwrapped<T>::type>::decode(word_);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string word_;
};

template <class T>
void append_array(std::string& out, const std::vector<T>& values) {
  out += '{';
  bool first = true;
  std::string word;
  for (const auto& value : values) {
    if (!first) out += ',';
    first = false;
    if constexpr (is_nested<T>::value) {
      append_array(out, value);
    } else {
      const T& element = value;  // vector<bool> hands out proxies
      if (is_null(element)) {
        out += "NULL";
        continue;
      }
      using C = codec<typename unwrapped<T>::type>;
      static_assert(!codec_binary<C>(), "arrays go as text: the element needs a codec with a text form");
      word.clear();
      C::encode(word, strip_optional(element));
      out += '"';
      for (const char c : word) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
      }
      out += '"';
    }
  }
  out += '}';
}

}  // namespace detail

/// An array; `std::optional` elements may be NULL. Nested vectors are dimensions and must be of equal lengths.
/// `where id = any($1)` takes one.
template <class T>
requires(!std::same_as<T, std::byte> && !std::same_as<T, std::string_view>) struct codec<std::vector<T>> {
  static void encode(std::string& out, const std::vector<T>& values) { detail::append_array(out, values); }
  static std::vector<T> decode(std::string_view text) {
    std::vector<T> out;
    detail::array_reader reader(text);
    reader.read(out);
    reader.finish();
    return out;
  }
};
/// As a parameter only: decoded elements would have nowhere to live.
template <>
struct codec<std::vector<std::string_view>> {
  static void encode(std::string& out, const std::vector<std::string_view>& values) { detail::append_array(out, values); }
};

}  // namespace tidepool::postgres

#endif
