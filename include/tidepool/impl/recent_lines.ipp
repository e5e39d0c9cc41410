// SPDX-License-Identifier: BSL-1.0
// tidepool - the last lines of a log.
#ifndef TIDEPOOL_IMPL_RECENT_LINES_IPP
#define TIDEPOOL_IMPL_RECENT_LINES_IPP

#include <algorithm>
#include <mutex>
#include <utility>

#include "../detail/util/json_writer.hpp"
#include "../recent_lines.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

struct recent_lines::ring {
  std::size_t most = 1;
  std::size_t longest = 1;
  std::mutex mutex;
  std::vector<line> lines;  ///< that of number n is at (n - 1) % most
  std::uint64_t count = 0;  ///< ever
};

recent_lines::recent_lines(std::size_t most, std::size_t longest) : ring_(std::make_shared<ring>()) {
  ring_->most = (std::max)(most, std::size_t{1});
  ring_->longest = (std::max)(longest, std::size_t{1});
}

void recent_lines::add(log_level level, std::string_view text) {
  ring& r = *ring_;
  line made;
  made.at = std::chrono::system_clock::now();  // NOLINT(clock): for people, beside the lines of other logs
  made.level = level;
  made.text = text.substr(0, r.longest);
  const std::lock_guard lock(r.mutex);
  made.number = r.count + 1;
  if (r.lines.size() < r.most) {
    r.lines.push_back(std::move(made));
  } else {
    std::swap(r.lines[static_cast<std::size_t>(r.count % r.most)], made);
  }
  ++r.count;
}

log_sink recent_lines::sink() const { return sink(nullptr); }
log_sink recent_lines::sink(log_sink next) const {
  return [kept = *this, next = std::move(next)](log_level level, const std::string& text) mutable {
    kept.add(level, text);
    if (next) next(level, text);
  };
}

std::vector<recent_lines::line> recent_lines::since(std::uint64_t number) const {
  ring& r = *ring_;
  std::vector<line> out;
  const std::lock_guard lock(r.mutex);
  const std::uint64_t oldest = r.count - r.lines.size();
  for (std::uint64_t n = (std::max)(number, oldest); n < r.count; ++n) out.push_back(r.lines[static_cast<std::size_t>(n % r.most)]);
  return out;
}

std::string recent_lines::to_json(std::uint64_t number) const {
  detail::json_writer out;
  out.open_list();
  for (const line& one : since(number)) {
    out.open();
    out.add("number", one.number);
    out.add("at_ms", static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(one.at.time_since_epoch()).count()));
    out.add("level", std::string_view(to_string(one.level)));
    out.add("text", one.text);
    out.close();
  }
  out.close_list();
  return out.take();
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
