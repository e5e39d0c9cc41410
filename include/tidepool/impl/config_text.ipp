// SPDX-License-Identifier: BSL-1.0
// tidepool - pool_config as text: from a file, the environment or a URL, and back.
#ifndef TIDEPOOL_IMPL_CONFIG_TEXT_IPP
#define TIDEPOOL_IMPL_CONFIG_TEXT_IPP

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if defined(__APPLE__)
#include <crt_externs.h>
#elif !defined(_WIN32)
#include <unistd.h>
#endif

#include "../config.hpp"
#include "../version.hpp"
#include "config_values.ipp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {
namespace detail {

/// Every option with its name, in the order of the struct. An option that is missing here is missed by the tests.
template <class Config, class Visit>
void for_each_option(Config& c, const Visit& visit) {
  visit("name", c.name);
  visit("min_size", c.min_size);
  visit("max_size", c.max_size);
  visit("min_idle", c.min_idle);
  visit("max_connecting", c.max_connecting);
  visit("max_waiting", c.max_waiting);
  visit("acquire_timeout", c.acquire_timeout);
  visit("connect_timeout", c.connect_timeout);
  visit("validation_timeout", c.validation_timeout);
  visit("response_timeout", c.response_timeout);
  visit("reset_timeout", c.reset_timeout);
  visit("close_timeout", c.close_timeout);
  visit("close_grace", c.close_grace);
  visit("slow_acquire", c.slow_acquire);
  visit("stall_threshold", c.stall_threshold);
  visit("advice_interval", c.advice_interval);
  visit("wait_goal", c.wait_goal);
  visit("idle_timeout", c.idle_timeout);
  visit("learn_idle_limit", c.learn_idle_limit);
  visit("max_lifetime", c.max_lifetime);
  visit("lifetime_jitter", c.lifetime_jitter);
  visit("max_uses", c.max_uses);
  visit("pre_ping", c.pre_ping);
  visit("test_on_borrow", c.test_on_borrow);
  visit("validation_query", c.validation_query);
  visit("alive_bypass", c.alive_bypass);
  visit("health_check_interval", c.health_check_interval);
  visit("max_retries", c.max_retries);
  visit("wait_when_refused", c.wait_when_refused);
  visit("retry_delay", c.retry_delay);
  visit("max_retry_delay", c.max_retry_delay);
  visit("breaker_threshold", c.breaker_threshold);
  visit("breaker_open_time", c.breaker_open_time);
  visit("auto_scale", c.auto_scale);
  visit("scale_up_threshold", c.scale_up_threshold);
  visit("scale_down_threshold", c.scale_down_threshold);
  visit("scale_check_interval", c.scale_check_interval);
  visit("leak_detection", c.leak_detection);
  visit("leak_timeout", c.leak_timeout);
  visit("track_stack_trace", c.track_stack_trace);
  visit("abandon_timeout", c.abandon_timeout);
  visit("recorder_memory", c.recorder_memory);
  visit("recorder_path", c.recorder_path);
  visit("recorder_interval", c.recorder_interval);
  visit("start", c.start);
}

/// One option as it was found: `where` says in words where, for faults.
struct found_option {
  std::string key, value, where;
};

/// Collects options and their faults, and makes one configuration of them.
template <class = void>
class basic_option_reader {
 public:
  void fault(std::string what) { faults_.push_back(std::move(what)); }
  void add(found_option option) { found_.push_back(std::move(option)); }

  pool_config read(pool_config base) {
    pool_config out = profile(base);
    std::map<std::string, std::string> known;  // where each option was found
    for (const found_option& option : found_) {
      if (option.key == "profile") continue;
      bool is_one = false;
      const bool first = known.emplace(option.key, option.where).second;
      for_each_option(out, [&](std::string_view name, auto& field) {
        if (name != option.key) return;
        is_one = true;
        std::string wrong = first ? read_option(option.value, field) : "is there twice";
        if (wrong.empty()) return;
        known[option.key].clear();
        fault(option.where + " is '" + shown(option.value) + "': " + wrong);
      });
      // Without the value: it may be a secret that was put in the wrong place.
      if (!is_one) fault(option.where + ": no option of a pool" + nearest(option.key));
    }
    for (const config_fault& broken : out.validate()) {
      const auto place = known.find(broken.field);
      if (place == known.end()) {
        fault(broken.text());
      } else if (!place->second.empty()) {  // a value that could not be read has been told
        fault(place->second + " is " + broken.value + ": " + broken.rule);
      }
    }
    if (faults_.empty()) return out;
    std::string text = "pool_config: ";
    for (std::size_t i = 0; i < faults_.size(); ++i) text += (i ? "; " : "") + faults_[i];
    throw std::invalid_argument(text);
  }

 private:
  static std::string shown(std::string_view value) {
    std::string out(value.substr(0, 60));
    for (char& c : out) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    return value.size() > 60 ? out + "..." : out;
  }
  pool_config profile(const pool_config& base) {
    const found_option* chosen = nullptr;
    for (const found_option& option : found_) {
      if (option.key != "profile") continue;
      if (chosen) fault(option.where + " is '" + shown(option.value) + "': is there twice");
      chosen = &option;
    }
    if (!chosen) return base;
    using maker = pool_config (*)();
    constexpr std::array<std::pair<std::string_view, maker>, 8> profiles{{{"default", [] { return pool_config(); }},
                                                                          {"development", &pool_config::development},
                                                                          {"production", &pool_config::production},
                                                                          {"high_load", &pool_config::high_load},
                                                                          {"low_latency", &pool_config::low_latency},
                                                                          {"high_throughput", &pool_config::high_throughput},
                                                                          {"reliable", &pool_config::reliable},
                                                                          {"embedded", &pool_config::embedded}}};
    for (const auto& [name, make] : profiles) {
      if (name == chosen->value) return make();
    }
    std::string names;
    for (const auto& [name, make] : profiles) names += (names.empty() ? "" : ", ") + std::string(name);
    fault(chosen->where + " is '" + shown(chosen->value) + "': must be one of " + names);
    return base;
  }
  /// The option that a misspelt one may mean: the same letters but for one, or two that changed places.
  static std::string nearest(std::string_view key) {
    std::string out;
    pool_config any;
    for_each_option(any, [&](std::string_view name, auto&) {
      const auto [a, b] = std::mismatch(key.begin(), key.end(), name.begin(), name.end());
      const std::string_view left(key.substr(static_cast<std::size_t>(a - key.begin())));
      const std::string_view right(name.substr(static_cast<std::size_t>(b - name.begin())));
      const bool swapped =
          left.size() > 1 && left.size() == right.size() && left[0] == right[1] && left[1] == right[0] && left.substr(2) == right.substr(2);
      const bool one_off = (!left.empty() && left.substr(1) == right) || (!right.empty() && right.substr(1) == left) ||
                           (!left.empty() && !right.empty() && left.substr(1) == right.substr(1));
      if (out.empty() && (swapped || one_off)) out = std::string("; did you mean ").append(name).append("?");
    });
    return out;
  }

  std::vector<found_option> found_;
  std::vector<std::string> faults_;
};
using option_reader = basic_option_reader<>;

template <class = void>
inline std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  return first == std::string_view::npos ? std::string_view() : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

/// The variables of this process, as NAME=value.
template <class = void>
inline char** environment() {
#if defined(__APPLE__)
  return *_NSGetEnviron();
#elif defined(_WIN32)
  return _environ;
#else
  return environ;
#endif
}

template <class = void>
inline bool is_pool_option(std::string_view key) {
  bool out = key == "profile";
  pool_config any;
  for_each_option(any, [&](std::string_view name, auto&) { out = out || name == key; });
  return out;
}
/// The pool's name for a parameter of a URL, or nothing where it is the driver's.
template <class = void>
inline std::string_view pool_parameter(std::string_view key) {
  if (key.substr(0, 5) == "pool_") return key.substr(5);
  return key != "connect_timeout" && key != "name" && is_pool_option(key) ? key : std::string_view();
}

/// %41 is A. False: no two hexadecimal digits behind a %.
template <class = void>
inline bool percent_decoded(std::string_view text, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    const char* const digits = text.data() + i + 1;
    if (text.size() - i < 3 || std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2) return false;
    out += static_cast<char>(value);
    i += 2;
  }
  return true;
}

/// Calls `visit(parameter)` for each `key=value` of a URL's query, and returns the URL without those for which it returned true.
template <class Visit>
std::string take_parameters(std::string_view url, const Visit& visit) {
  const std::string_view fragment = url.substr((std::min)(url.find('#'), url.size()));
  url.remove_suffix(fragment.size());
  const auto mark = url.find('?');
  if (mark == std::string_view::npos) return std::string(url).append(fragment);
  std::string left;
  for (std::string_view rest = url.substr(mark + 1); !rest.empty();) {
    const std::string_view parameter = rest.substr(0, rest.find('&'));
    rest.remove_prefix((std::min)(parameter.size() + 1, rest.size()));
    if (parameter.empty() || visit(parameter)) continue;
    left.append(1, left.empty() ? '?' : '&').append(parameter);
  }
  return std::string(url.substr(0, mark)).append(left).append(fragment);
}

}  // namespace detail

TIDEPOOL_LAZY_BODY std::string url_without_pool_options(std::string_view url) {
  return detail::take_parameters(
      url, [](std::string_view parameter) { return !detail::pool_parameter(parameter.substr(0, parameter.find('='))).empty(); });
}

TIDEPOOL_LAZY_BODY pool_config pool_config::from_string(std::string_view text, const pool_config& base) {
  detail::option_reader options;
  int number = 0;
  while (!text.empty()) {
    const std::string_view line = detail::trimmed(text.substr(0, text.find('\n')));
    text.remove_prefix((std::min)(text.find('\n'), text.size() - 1) + 1);
    const std::string where = "line " + std::to_string(++number);
    if (line.empty() || line.front() == '#') continue;
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) {
      options.fault(where + ": no 'key = value'");
      continue;
    }
    detail::found_option option{std::string(detail::trimmed(line.substr(0, equals))), {}, {}};
    option.where = where + ", " + option.key;
    const std::string_view value = detail::trimmed(line.substr(equals + 1));
    if (value.empty() || value.front() != '"') {
      option.value = value;
    } else if (!detail::unquote(value, option.value)) {
      options.fault(option.where + ": the quotation marks do not fit; within them are \\\" \\\\ \\n \\r");
      continue;
    }
    options.add(std::move(option));
  }
  return options.read(base);
}
TIDEPOOL_LAZY_BODY pool_config pool_config::from_string(std::string_view text) { return from_string(text, pool_config()); }

TIDEPOOL_LAZY_BODY pool_config pool_config::from_environment(std::string_view prefix, const pool_config& base) {
  if (prefix.empty()) throw std::invalid_argument("pool_config: the prefix of the environment variables is empty");
  detail::option_reader options;
  for (char** variable = detail::environment(); variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const std::string_view name = text.substr(0, text.find('='));
    if (name.size() == text.size() || name.substr(0, prefix.size()) != prefix) continue;
    detail::found_option option{std::string(name.substr(prefix.size())), std::string(text.substr(name.size() + 1)), std::string(name)};
    for (char& c : option.key) {
      // A name in small letters is none of ours: no two variables mean the same option.
      if (c >= 'A' && c <= 'Z') {
        c = static_cast<char>(c - 'A' + 'a');
      } else if (c >= 'a' && c <= 'z') {
        c = static_cast<char>(c - 'a' + 'A');
      }
    }
    options.add(std::move(option));
  }
  return options.read(base);
}
TIDEPOOL_LAZY_BODY pool_config pool_config::from_environment(std::string_view prefix) { return from_environment(prefix, pool_config()); }

TIDEPOOL_LAZY_BODY pool_config pool_config::from_url(std::string_view url, const pool_config& base) {
  detail::option_reader options;
  (void)detail::take_parameters(url, [&](std::string_view parameter) {
    const std::string_view key = parameter.substr(0, parameter.find('='));
    const std::string_view option = detail::pool_parameter(key);
    if (option.empty()) return false;
    detail::found_option found{std::string(option), {}, std::string(key)};
    if (key.size() == parameter.size()) {
      options.fault(found.where + ": no value");
    } else if (!detail::percent_decoded(parameter.substr(key.size() + 1), found.value)) {
      options.fault(found.where + ": a % without two hexadecimal digits behind it");
    } else {
      options.add(std::move(found));
    }
    return true;
  });
  return options.read(base);
}
TIDEPOOL_LAZY_BODY pool_config pool_config::from_url(std::string_view url) { return from_url(url, pool_config()); }

TIDEPOOL_LAZY_BODY std::string detail::config_changes(const pool_config& before, const pool_config& after) {
  std::vector<std::string> old;
  for_each_option(before, [&](std::string_view, const auto& value) { old.push_back(write_option(value)); });
  std::string out;
  std::size_t i = 0;
  for_each_option(after, [&](std::string_view key, const auto& value) {
    const std::string was = old[i++], is = write_option(value);
    if (was != is) out.append(out.empty() ? "" : ", ").append(key).append(" ").append(was).append(" -> ").append(is);
  });
  return out;
}

TIDEPOOL_LAZY_BODY std::string pool_config::to_string() const {
  std::string out;
  detail::for_each_option(*this, [&](std::string_view key, const auto& value) {
    out.append(key).append(" = ").append(detail::write_option(value)).append("\n");
  });
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
