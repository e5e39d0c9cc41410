// SPDX-License-Identifier: BSL-1.0
// tidepool - writes JSON, without a JSON library.
#ifndef TIDEPOOL_DETAIL_UTIL_JSON_WRITER_HPP
#define TIDEPOOL_DETAIL_UTIL_JSON_WRITER_HPP

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include "../../histogram.hpp"
#include "../../time.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

class json_writer {
 public:
  void open(const char* key = nullptr) {
    name(key);
    text_ += '{';
    first_ = true;
  }
  void close() {
    text_ += '}';
    first_ = false;
  }
  void open_list(const char* key = nullptr) {
    name(key);
    text_ += '[';
    first_ = true;
  }
  void close_list() {
    text_ += ']';
    first_ = false;
  }
  void add_null(const char* key) { add_json(key, "null"); }
  /// A value that is JSON already.
  void add_json(const char* key, std::string_view json) {
    name(key);
    text_ += json;
  }
  void add_bool(const char* key, bool value) { add_json(key, value ? "true" : "false"); }
  void add(const char* key, std::uint64_t value) {
    name(key);
    text_ += std::to_string(value);
  }
  void add(const char* key, double value) {
    char digits[40];
    // Not printf: a locale may want a decimal comma.
    const auto written = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::general, 9);
    name(key);
    text_.append(digits, written.ptr);
  }
  void add(const char* key, duration value) { add(key, std::chrono::duration<double>(value).count()); }
  void add(const char* key, std::string_view value) {
    name(key);
    quote(value);
  }
  void add(const char* key, const histogram& h) {
    open(key);
    add("count", h.count());
    add("mean", h.mean());
    add("p50", h.quantile(0.5));
    add("p90", h.quantile(0.9));
    add("p95", h.quantile(0.95));
    add("p99", h.quantile(0.99));
    add("p999", h.quantile(0.999));
    add("max", (h.max)());
    close();
  }
  std::string take() { return std::move(text_); }

 private:
  void name(const char* key) {
    if (!first_) text_ += ',';
    first_ = false;
    if (key) {
      quote(key);
      text_ += ':';
    }
  }
  void quote(std::string_view value) {
    text_ += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') {
        text_ += '\\';
        text_ += c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
        text_ += escape;
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }

  std::string text_;
  bool first_ = true;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
