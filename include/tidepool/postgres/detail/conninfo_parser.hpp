// SPDX-License-Identifier: BSL-1.0
// tidepool - connection strings, read by libpq's published rules: key=value pairs, and URIs.
// libpq's own parser refuses keys that its version does not know, and its error messages quote text that may be part of a password. So the
// text is read here, and libpq gets keys and values.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CONNINFO_PARSER_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CONNINFO_PARSER_HPP

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "../error.hpp"
#include "text.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

template <class = void>
inline bool is_secret(std::string_view name) {
  constexpr std::string_view secrets[] = {"password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"};
  return std::find(std::begin(secrets), std::end(secrets), name) != std::end(secrets);
}

/// One key and value of a connection string. They are kept in order; of two with the same key the later one counts.
struct conninfo_item {
  std::string key, value;
  std::size_t at = 0;        ///< where the key stands, from 1
  bool after_blank = false;  ///< the value follows a blank, without a quote
  bool may_quote = true;     ///< whether an error may quote the key: it cannot be part of a password by mistake
};
using conninfo_items = std::vector<conninfo_item>;

/// Parses a connection string. Wipes the text at the end, because it may hold a password.
template <class = void>
class basic_conninfo_parser {
 public:
  explicit basic_conninfo_parser(std::string_view text) : text_(text) {}
  basic_conninfo_parser(const basic_conninfo_parser&) = delete;
  basic_conninfo_parser& operator=(const basic_conninfo_parser&) = delete;
  ~basic_conninfo_parser() {
    for (auto& item : items_) wipe(item.value);
  }

  conninfo_items parse() {
    for (const std::string_view scheme : {"postgresql://", "postgres://"}) {
      if (text_.starts_with(scheme)) {
        uri(scheme.size());
        return std::move(items_);
      }
    }
    pairs();
    return std::move(items_);
  }

  /// "\"hots\" at position 5", or the position alone.
  static std::string name_of(const conninfo_item& item) {
    const auto end = std::find_if_not(item.key.begin(), item.key.end(), is_word);
    const std::string word(item.key.begin(), end);
    const std::string place = "at position " + std::to_string(item.at);
    return item.may_quote && !word.empty() ? "\"" + printable(word, 40) + "\" " + place : place;
  }

 private:
  static bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }
  static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  [[noreturn]] static void fail(const std::string& what) { throw error(errc::bad_options, "connection string: " + what); }
  bool more() const { return at_ < text_.size(); }
  void skip_blanks() {
    while (more() && is_blank(text_[at_])) ++at_;
  }

  void pairs() {
    bool after_secret = false;
    for (skip_blanks(); more(); skip_blanks()) {
      conninfo_item item;
      item.at = at_ + 1;
      item.may_quote = !after_secret;
      while (more() && text_[at_] != '=' && !is_blank(text_[at_])) item.key += text_[at_++];
      skip_blanks();
      if (!more() || text_[at_] != '=') {
        std::string hint = after_secret ? "; put a password that holds blanks between single quotes" : "";
        if (items_.empty()) hint = "; options are written like host=db dbname=shop, or as a URI like postgresql://app@db/shop";
        if (items_.empty() && item.key.find("://") != std::string::npos) hint = "; a URI has to begin with postgresql://";
        fail("\"=\" is missing after " + (item.may_quote ? "" : std::string("the word ")) + name_of(item) + hint);
      }
      ++at_;
      item.after_blank = more() && is_blank(text_[at_]);
      skip_blanks();
      item.after_blank = item.after_blank && more() && text_[at_] != '\'';
      item.value = value(item);
      after_secret = after_secret || is_secret(item.key);
      items_.push_back(std::move(item));
    }
  }
  std::string value(const conninfo_item& of) {
    std::string out;
    const bool quoted = more() && text_[at_] == '\'';
    if (quoted) ++at_;
    for (; more(); ++at_) {
      if (quoted ? text_[at_] == '\'' : is_blank(text_[at_])) {
        ++at_;
        return out;
      }
      if (text_[at_] == '\\' && ++at_ >= text_.size()) break;
      out += text_[at_];
    }
    if (quoted) {
      wipe(out);
      fail("the value of " + name_of(of) + " has no closing quote");
    }
    return out;
  }

  // postgresql://[user[:password]@][host][:port][,...][/dbname][?key=value&...]
  void uri(std::size_t from) {
    at_ = from;
    const auto credentials_end = text_.find_first_of("@/", at_);
    if (credentials_end != std::string_view::npos && text_[credentials_end] == '@') credentials();
    hosts();
    if (more() && text_[at_] == '/') {
      const auto end = std::min(text_.find('?', at_), text_.size());
      add("dbname", at_ + 1, end);
      at_ = end;
    }
    for (++at_; more(); ++at_) query_item();
  }
  void credentials() {
    const auto end = text_.find('@', at_);
    const auto colon = std::min(text_.find(':', at_), end);
    add("user", at_, colon);
    if (colon < end) {
      add("password", colon + 1, end);
      has_password_ = true;
    }
    at_ = end + 1;
  }
  void hosts() {
    std::string names, ports;
    for (;; ++at_) {
      if (more() && text_[at_] == '[') {
        const auto end = text_.find(']', at_);
        if (end == std::string_view::npos) fail("\"]\" is missing after the address that begins at position " + std::to_string(at_ + 1));
        if (end == at_ + 1) fail("the address between \"[\" and \"]\" at position " + std::to_string(at_ + 1) + " is empty");
        names += text_.substr(at_ + 1, end - at_ - 1);
        at_ = end + 1;
        if (more() && std::string_view(":/?,").find(text_[at_]) == std::string_view::npos) {
          fail("after \"]\" at position " + std::to_string(at_) + " a \":\", \"/\", \"?\" or \",\" is expected");
        }
      } else {
        names += take_until(":/?,");
      }
      if (more() && text_[at_] == ':') {
        ++at_;
        ports += take_until("/?,");
      }
      if (!more() || text_[at_] != ',') break;
      names += ',';
      ports += ',';
    }
    // Lists are put together before they are decoded, as libpq does.
    if (!names.empty()) add_decoded("host", decode(names, 0), at_);
    if (!ports.empty()) add_decoded("port", decode(ports, 0), at_);
  }
  std::string_view take_until(std::string_view ends) {
    const auto from = at_;
    at_ = std::min(text_.find_first_of(ends, at_), text_.size());
    return text_.substr(from, at_ - from);
  }
  void query_item() {
    conninfo_item item;
    item.at = at_ + 1;
    item.may_quote = !has_password_ && text_.find('@', at_) == std::string_view::npos;
    const auto end = std::min(text_.find('&', at_), text_.size());
    const auto equals = std::min(text_.find('=', at_), end);
    item.key = decode(text_.substr(at_, equals - at_), at_);
    if (equals == end) fail("\"=\" is missing after the parameter " + name_of(item));
    if (text_.substr(equals + 1, end - equals - 1).find('=') != std::string_view::npos) {
      fail("the parameter " + name_of(item) + " has a second \"=\": one in a value is written %3D");
    }
    item.value = decode(text_.substr(equals + 1, end - equals - 1), equals + 1);
    if (item.key == "ssl" && item.value == "true") {  // as JDBC says it
      item.key = "sslmode";
      item.value = "require";
    }
    if (is_secret(item.key)) has_password_ = true;
    items_.push_back(std::move(item));
    at_ = end;
  }
  void add(const char* key, std::size_t from, std::size_t to) {
    if (to > from) add_decoded(key, decode(text_.substr(from, to - from), from), from);
  }
  void add_decoded(const char* key, std::string value, std::size_t from) {
    conninfo_item item;
    item.key = key;
    item.value = std::move(value);
    item.at = from + 1;
    items_.push_back(std::move(item));
  }

  /// %41 is A. Blanks around a part are dropped; within it they are an error, because libpq would cut the part there.
  static std::string decode(std::string_view part, std::size_t from) {
    while (!part.empty() && is_blank(part.back())) part.remove_suffix(1);
    while (!part.empty() && part.front() == ' ') {
      part.remove_prefix(1);
      ++from;
    }
    const auto digit = [](char c) {
      if (c >= '0' && c <= '9') return c - '0';
      if (c >= 'a' && c <= 'f') return c - 'a' + 10;
      if (c >= 'A' && c <= 'F') return c - 'A' + 10;
      return -1;
    };
    std::string out;
    for (std::size_t i = 0; i < part.size(); ++i) {
      if (is_blank(part[i])) fail("the blank at position " + std::to_string(from + i + 1) + " has to be written %20");
      if (part[i] != '%') {
        out += part[i];
        continue;
      }
      const int high = i + 2 < part.size() ? digit(part[i + 1]) : -1;
      const int low = i + 2 < part.size() ? digit(part[i + 2]) : -1;
      if (high < 0 || low < 0)
        fail("\"%\" at position " + std::to_string(from + i + 1) +
             " must be followed by two hexadecimal digits; write %25 for \"%\" itself");
      if (high == 0 && low == 0) fail("%00 at position " + std::to_string(from + i + 1) + " is not allowed");
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
    return out;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool has_password_ = false;
  conninfo_items items_;
};
using conninfo_parser = basic_conninfo_parser<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
