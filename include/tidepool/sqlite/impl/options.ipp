// SPDX-License-Identifier: BSL-1.0
// tidepool - options: see lazy.hpp.
#ifndef TIDEPOOL_SQLITE_IMPL_OPTIONS_IPP
#define TIDEPOOL_SQLITE_IMPL_OPTIONS_IPP

#include <string>
#include <string_view>

#include "../../detail/driver/text.hpp"
#include "../../version.hpp"
#include "../options.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

namespace detail {

/// The value of a parameter of a URI, as it stands there; empty where there is none, and where the path is no URI.
template <class = void>
inline std::string_view uri_value(std::string_view path, std::string_view key) {
  if (!path.starts_with("file:")) return {};
  path = path.substr(0, path.find('#'));
  auto at = path.find('?');
  while (at != std::string_view::npos) {
    path.remove_prefix(at + 1);
    const auto one = path.substr(0, path.find('&'));
    if (one.starts_with(key) && one.size() > key.size() && one[key.size()] == '=') return one.substr(key.size() + 1);
    at = path.find('&');
  }
  return {};
}
template <class = void>
inline std::string_view uri_path(std::string_view path) {
  if (!path.starts_with("file:")) return path;
  path.remove_prefix(5);
  return path.substr(0, path.find_first_of("?#"));
}

}  // namespace detail

TIDEPOOL_LAZY_BODY options::options(std::string_view path_) : path(path_) {}
TIDEPOOL_LAZY_BODY options::options(const char* path_) {
  if (path_ == nullptr)
    throw error(errc::bad_options, "no path: it is a null pointer, as of a variable of the environment that is not set");
  path = path_;
}
TIDEPOOL_LAZY_BODY options::options(const std::string& path_) : path(path_) {}

TIDEPOOL_LAZY_BODY bool options::is_private() const {
  if (is_shared_memory()) return false;
  const auto name = detail::uri_path(path);
  return name.empty() || name == ":memory:" || detail::uri_value(path, "mode") == "memory";
}
TIDEPOOL_LAZY_BODY bool options::is_shared_memory() const {
  return detail::uri_value(path, "vfs") == "memdb" && detail::uri_path(path).starts_with('/');
}
TIDEPOOL_LAZY_BODY std::string options::summary() const {
  const auto name = detail::uri_path(path);
  return name.empty() ? "a temporary database" : tidepool::detail::printable(name, 200);
}

TIDEPOOL_LAZY_BODY void options::check() const {
  const auto refuse = [](const std::string& text) { throw error(errc::bad_options, text); };
  if (path.find('\0') != std::string::npos) refuse("path holds a NUL byte");
  if (detail::uri_value(path, "cache") == "shared") {
    refuse(
        "cache=shared: its connections lock tables without waiting; use file:/name?vfs=memdb for a database in memory that several share");
  }
  if (detail::uri_value(path, "vfs") == "memdb" && !is_shared_memory()) {
    refuse("vfs=memdb needs a name with a slash, file:/name?vfs=memdb: without it each connection has a database of its own");
  }
  if (is_private() && read_only) refuse("read_only is set, and a database in memory or a temporary one is empty at first");
  if (is_private() && query_only) refuse("query_only is set, and a database in memory or a temporary one is empty at first");
  const auto not_negative = [&](const char* name, duration span) {
    if (span < duration::zero()) refuse(std::string(name) + " is below zero: 0 is not to wait, tidepool::no_limit for ever");
  };
  not_negative("busy_timeout", busy_timeout);
  if (response_timeout <= duration::zero()) refuse("response_timeout must be above zero, or tidepool::no_limit");
  if (close_timeout <= duration::zero()) refuse("close_timeout must be above zero, or tidepool::no_limit");
  not_negative("look_time", look_time);
  if (threads == 0) refuse("threads is 0: one or more have to run the statements");
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#endif
