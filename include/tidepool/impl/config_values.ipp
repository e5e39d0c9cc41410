// SPDX-License-Identifier: BSL-1.0
// tidepool - the value of one option of a configuration as text, and back. To read one returns what is wrong with the text, or nothing.
// Before the guard: config.hpp includes this file where its own declarations are complete.
#include "../config.hpp"

#ifndef TIDEPOOL_IMPL_CONFIG_VALUES_IPP
#define TIDEPOOL_IMPL_CONFIG_VALUES_IPP

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>

#include "../detail/driver/read_floating.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

struct time_unit {
  std::string_view name;
  std::int64_t nanoseconds;
};
inline constexpr std::array<time_unit, 7> time_units{{{"d", 86'400'000'000'000},
                                                      {"h", 3'600'000'000'000},
                                                      {"m", 60'000'000'000},
                                                      {"s", 1'000'000'000},
                                                      {"ms", 1'000'000},
                                                      {"us", 1'000},
                                                      {"ns", 1}}};

template <class = void>
inline std::string read_option(std::string_view text, std::size_t& out) {
  if (text == "none") return out = no_limit, std::string();
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failure == std::errc::result_out_of_range || (failure == std::errc() && out == no_limit)) return "is too large";
  return failure == std::errc() && end == text.data() + text.size() ? "" : "must be a whole number, or none for no limit";
}
template <class = void>
inline std::string read_option(std::string_view text, double& out) {
  double value = 0;
  if (driver::read_floating(text, value) != std::errc()) return "must be a number, as in 0.8";
  out = value;
  return {};
}
template <class = void>
inline std::string read_option(std::string_view text, bool& out) {
  out = text == "true" || text == "on" || text == "yes" || text == "1";
  return out || text == "false" || text == "off" || text == "no" || text == "0" ? "" : "must be true or false";
}
template <class = void>
inline std::string read_option(std::string_view text, duration& out) {
  constexpr const char* form = "must be a time with its unit, as in 250ms, 30s, 5m or 1h, or none for no limit";
  if (text == "none") return out = no_limit, std::string();
  if (text == "0") return out = duration::zero(), std::string();
  std::int64_t count = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const auto* const known = std::find_if(time_units.begin(), time_units.end(), [&](const time_unit& u) { return u.name == unit; });
  if (failure == std::errc::invalid_argument || known == time_units.end()) return form;
  const std::int64_t most = ((duration::max)().count() - 1) / known->nanoseconds;
  if (count < 0) return "must not be negative";
  if (failure != std::errc() || count > most) return "is too long";
  out = duration(count * known->nanoseconds);
  return {};
}
template <class = void>
inline std::string read_option(std::string_view text, start_mode& out) {
  out = text == "lazy" ? start_mode::lazy : start_mode::fail_fast;
  return text == "lazy" || text == "fail_fast" ? "" : "must be fail_fast or lazy";
}
template <std::size_t Capacity>
std::string read_option(std::string_view text, bounded_string<Capacity>& out) {
  out = text;  // `validate()` refuses what does not fit
  return {};
}

template <class = void>
inline std::string write_option(std::size_t value) {
  return value == no_limit ? "none" : std::to_string(value);
}
template <class = void>
inline std::string write_option(bool value) {
  return value ? "true" : "false";
}
template <class = void>
inline std::string write_option(start_mode value) {
  return value == start_mode::lazy ? "lazy" : "fail_fast";
}
template <class = void>
inline std::string write_option(duration value) {
  if (value == no_limit) return "none";
  if (value == duration::zero()) return "0";
  for (const time_unit& unit : time_units) {
    if (value.count() % unit.nanoseconds == 0) return std::to_string(value.count() / unit.nanoseconds).append(unit.name);
  }
  return {};
}
/// The fewest digits that are read back as the same number, with a point in every locale.
template <class = void>
inline std::string write_option(double value) {
  std::array<char, 40> text{};
  for (int digits = 1; digits <= 17; ++digits) {
    std::snprintf(text.data(), text.size(), "%.*g", digits, value);
    for (char& c : text) {
      if (c == ',') c = '.';
    }
    double back = 0;
    if (driver::read_floating(std::string_view(text.data()), back) == std::errc() && back == value) break;
  }
  return text.data();
}
/// In quotation marks where it could not be read back as it is.
template <class = void>
inline std::string write_option(std::string_view value) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  const bool plain = value.empty() || (!blank(value.front()) && !blank(value.back()) && value.front() != '"');
  if (plain && value.find_first_of("\n\r") == std::string_view::npos) return std::string(value);
  std::string out = "\"";
  for (const char c : value) {
    if (c == '\n' || c == '\r') {
      out += c == '\n' ? "\\n" : "\\r";
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + '"';
}

/// The text between quotation marks. False: they do not fit.
template <class = void>
inline bool unquote(std::string_view text, std::string& out) {
  if (text.size() < 2 || text.back() != '"') return false;
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    char c = text[i];
    if (c == '"') return false;
    if (c == '\\') {
      if (++i + 1 >= text.size()) return false;
      c = text[i] == 'n' ? '\n' : text[i] == 'r' ? '\r' : text[i];
      if (text[i] != 'n' && text[i] != 'r' && text[i] != '"' && text[i] != '\\') return false;
    }
    out += c;
  }
  return true;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
