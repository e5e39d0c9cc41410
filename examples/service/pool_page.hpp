// SPDX-License-Identifier: BSL-1.0
// tidepool - a live page about the pools of a service, and the verbs of an operator, for whatever connections they hold.
//
//   GET  /pool                          the page
//   GET  /pool/now                      what it shows, once, as JSON
//   GET  /pool/events                   the same each second, as server-sent events
//   POST /pool/control/POOL/suspend     also resume, recycle, resize/MIN/MAX, reclaim/CONNECTION; POOL is a number from 0
//
// Made for the loopback address: a request for another host name is refused, because a name that an attacker owns may lead here (DNS
// rebinding). Control is for clients on this machine alone, whatever address the server listens on, and needs the token, as `Authorization:
// Bearer TOKEN`, which no other site can make a browser send, and is off without one. All that comes from the pool is shown as text. The
// page takes no connection, and asks the pool twice a second at most, whoever looks.
#ifndef TIDEPOOL_EXAMPLES_POOL_PAGE_HPP
#define TIDEPOOL_EXAMPLES_POOL_PAGE_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tidepool/pool.hpp>
#include <tidepool/recent_lines.hpp>
#include <utility>
#include <vector>

#include "http_message.hpp"
#include "pool_page_text.hpp"
#include "same_secret.hpp"

/// A pool as the page sees it.
struct watched_pool {
  std::function<tidepool::pool_inspection()> inspect;
  std::function<std::string()> advice;  ///< JSON
  std::function<void()> suspend, resume, recycle;
  std::function<void(std::size_t, std::size_t)> resize;  ///< empty: its size is part of what it is
  std::function<bool(tidepool::connection_id)> reclaim;

  template <class Pool>
  static watched_pool of(Pool& pool, bool may_be_resized = true) {
    watched_pool out;
    out.inspect = [&pool] { return pool.inspect(50, 10); };
    out.advice = [&pool] { return tidepool::to_json(pool.advice()); };
    out.suspend = [&pool] { pool.suspend(); };
    out.resume = [&pool] { pool.resume(); };
    out.recycle = [&pool] { pool.recycle(); };
    if (may_be_resized) out.resize = [&pool](std::size_t min, std::size_t max) { pool.resize(min, max); };
    out.reclaim = [&pool](tidepool::connection_id id) { return pool.reclaim(id); };
    return out;
  }
};

class pool_page {
 public:
  using clock = std::chrono::steady_clock;
  static constexpr std::size_t shortest_token = 16;
  static constexpr int most_readers = 16;     ///< of server-sent events
  static constexpr int most_tries = 20;       ///< of control, right or wrong, in ten seconds
  static constexpr std::uint64_t lines = 60;  ///< of the log

  /// An empty token: no control. `log`: the lines of all pools, to which control adds its own.
  pool_page(std::vector<watched_pool> pools, tidepool::recent_lines log, std::string token)
      : log_(std::move(log)), token_(std::move(token)) {
    if (!token_.empty() && token_.size() < shortest_token) throw std::invalid_argument("the token for control is too short");
    for (auto& pool : pools) pools_.push_back({std::move(pool)});
  }

  static bool is_for(const http::message& request) {
    const std::string_view target = path_of(request);
    return target == "/pool" || target.substr(0, 6) == "/pool/";
  }
  /// Answers at once. Any number of requests, on any thread.
  http::response answer(const http::message& request) {
    auto out = choose(request);
    out.headers +=
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: "
        "same-origin\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src "
        "data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";
    return out;
  }

 private:
  static constexpr std::chrono::milliseconds fresh{500};
  static constexpr std::chrono::seconds recent{60};
  static constexpr std::array<std::chrono::microseconds, 10> bounds{
      std::chrono::microseconds(10),      std::chrono::microseconds(100),     std::chrono::microseconds(1000),
      std::chrono::microseconds(5000),    std::chrono::microseconds(20000),   std::chrono::microseconds(100000),
      std::chrono::microseconds(500000),  std::chrono::microseconds(1000000), std::chrono::microseconds(3000000),
      std::chrono::microseconds(10000000)};

  struct moment {
    clock::time_point at;
    tidepool::pool_stats stats;
  };
  struct shown_pool {
    watched_pool pool;
    std::deque<moment> before{};  ///< of the last minute, five seconds apart
    std::string advice{};
    clock::time_point advised_at{};
  };
  /// One of those who read server-sent events.
  class reader {
   public:
    explicit reader(std::atomic<int>& all) : all_(all) {}
    reader(const reader&) = delete;
    reader& operator=(const reader&) = delete;
    ~reader() { --all_; }

   private:
    std::atomic<int>& all_;
  };

  static http::response problem(int status, std::string_view what) { return {status, "{\"error\":\"" + std::string(what) + "\"}"}; }
  static std::string_view path_of(const http::message& request) {
    const std::string_view target = request.target;
    return target.substr(0, target.find('?'));
  }
  /// "127.0.0.1", "localhost" or "[::1]", with or without a port.
  static bool is_loopback(std::string_view host) {
    const auto port = host.rfind(':');
    if (port != std::string_view::npos && host.find(']', port) == std::string_view::npos) {
      const std::string_view digits = host.substr(port + 1);
      if (digits.empty() || digits.size() > 5 || digits.find_first_not_of("0123456789") != std::string_view::npos) return false;
      host = host.substr(0, port);
    }
    return host == "127.0.0.1" || host == "localhost" || host == "[::1]";
  }
  static std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
  }

  http::response choose(const http::message& request) {
    if (!is_loopback(request.host)) return problem(403, "ask for 127.0.0.1 or localhost");
    const std::string_view path = path_of(request);
    if (path.substr(0, control_path.size()) == control_path) return control(request, path.substr(control_path.size()));
    if (request.method != "GET") return problem(405, "GET only");
    if (path == "/pool") return {200, pool_page_html, "text/html; charset=utf-8"};
    if (path == "/pool/page.css") return {200, pool_page_css, "text/css; charset=utf-8"};
    if (path == "/pool/page.js") return {200, pool_page_js, "text/javascript; charset=utf-8"};
    if (path == "/pool/now") return {200, now()};
    if (path == "/pool/events") return events();
    return problem(404, "no such page");
  }
  http::response events() {
    if (++readers_ > most_readers) {
      --readers_;
      auto out = problem(503, "too many readers");
      out.headers = "Retry-After: 10\r\n";
      return out;
    }
    http::response out(200, "retry: 2000\n\n", "text/event-stream");
    out.more = [this, one = std::make_shared<reader>(readers_)] { return "data: " + now() + "\n\n"; };
    return out;
  }

  // --- control --------------------------------------------------------------------------------------------------------

  http::response control(const http::message& request, std::string_view path) {
    if (token_.empty()) return problem(403, "control is off");
    if (!request.from_loopback) return problem(403, "from another machine");
    if (request.method != "POST") return problem(405, "POST only");
    if (!request.origin.empty() && request.origin != "http://" + request.host) return problem(403, "from another site");
    if (too_many_tries()) return problem(429, "too many requests");
    constexpr std::string_view scheme = "Bearer ";
    const std::string_view given = request.authorization;
    if (given.substr(0, scheme.size()) != scheme || !same_secret(given.substr(scheme.size()), token_)) return problem(401, "wrong token");
    std::vector<std::string_view> parts;
    while (parts.size() < 5) {
      const auto end = std::min(path.find('/'), path.size());
      parts.push_back(path.substr(0, end));
      if (end == path.size()) break;
      path.remove_prefix(end + 1);
    }
    const auto which = number(parts[0]);
    if (!which || *which >= pools_.size() || parts.size() < 2) return problem(404, "no such pool");
    const watched_pool& pool = pools_[static_cast<std::size_t>(*which)].pool;
    const std::string_view verb = parts[1];
    std::string done(verb);
    for (std::size_t i = 2; i < parts.size(); ++i) done += " " + std::string(parts[i]);
    if (parts.size() == 2 && verb == "suspend") {
      pool.suspend();
    } else if (parts.size() == 2 && verb == "resume") {
      pool.resume();
    } else if (parts.size() == 2 && verb == "recycle") {
      pool.recycle();
    } else if (parts.size() == 4 && verb == "resize" && pool.resize) {
      const auto min = number(parts[2]), max = number(parts[3]);
      if (!min || !max) return problem(400, "two numbers");
      try {
        pool.resize(static_cast<std::size_t>(*min), static_cast<std::size_t>(*max));
      } catch (const std::invalid_argument&) {
        return problem(400, "the pool refuses this size");
      }
    } else if (parts.size() == 3 && verb == "reclaim") {
      const auto id = number(parts[2]);
      if (!id || !pool.reclaim(*id)) return problem(404, "no lease of this connection is out");
    } else {
      return problem(404, "no such verb");
    }
    log_.add(tidepool::log_level::warning, std::string(pool.inspect().stats.name.view()) + ": by hand: " + done);
    {
      const std::lock_guard lock(mutex_);
      known_.clear();  // the next look shows it
    }
    return {200, "{\"done\":true}"};
  }
  bool too_many_tries() {
    const std::lock_guard lock(mutex_);
    const auto at = clock::now();
    while (!tries_.empty() && at - tries_.front() > std::chrono::seconds(10)) tries_.pop_front();
    if (tries_.size() >= most_tries) return true;
    tries_.push_back(at);
    return false;
  }

  // --- what it shows --------------------------------------------------------------------------------------------------

  std::string now() {
    const std::lock_guard lock(mutex_);
    const auto at = clock::now();
    if (known_.empty() || at - known_at_ >= fresh) {
      known_ = look(at);
      known_at_ = at;
    }
    return known_;
  }
  std::string look(clock::time_point at) {
    std::string out = "{\"control\":" + std::string(token_.empty() ? "false" : "true") + ",\"readers\":" + std::to_string(readers_.load()) +
                      ",\"pools\":[";
    for (auto& one : pools_) {
      if (out.back() != '[') out += ',';
      add(out, one, at);
    }
    const auto all = log_.since();
    const std::uint64_t last = all.empty() ? 0 : all.back().number;
    return out + "],\"log\":" + log_.to_json(last > lines ? last - lines : 0) + "}";
  }
  static void add(std::string& out, shown_pool& one, clock::time_point at) {
    const auto seen = one.pool.inspect();
    while (one.before.size() > 1 && at - one.before.front().at > recent) one.before.pop_front();
    if (one.before.empty() || at - one.before.back().at >= std::chrono::seconds(5)) one.before.push_back({at, seen.stats});
    const moment& then = one.before.front();
    // It takes this thread some ten milliseconds.
    const bool known = one.advice.find("\"known\":true") != std::string::npos;
    if (one.advice.empty() || at - one.advised_at >= (known ? recent : std::chrono::seconds(10))) {
      one.advice = one.pool.advice();
      one.advised_at = at;
    }
    const auto health = tidepool::assess(seen.stats, then.stats);
    const auto seconds = std::chrono::duration<double>(at - then.at).count();
    out += "{\"inspection\":" + seen.to_json() + ",\"advice\":" + one.advice + ",\"health\":\"" + tidepool::to_string(health.status) +
           "\",\"health_reason\":\"" + health.reason + "\",\"may_be_resized\":" + (one.pool.resize ? "true" : "false") +
           ",\"recent\":{\"seconds\":" + std::to_string(std::max(seconds, 0.0)) +
           ",\"checkouts\":" + std::to_string(seen.stats.total_checkouts - then.stats.total_checkouts) +
           ",\"failed\":" + std::to_string(seen.stats.failed_checkouts - then.stats.failed_checkouts) + ",\"waits\":[";
    std::uint64_t below = 0;
    for (const auto bound : bounds) {
      const std::uint64_t so_far = seen.stats.wait_time.at_most(bound) - then.stats.wait_time.at_most(bound);
      out += "[" + std::to_string(bound.count()) + "," + std::to_string(so_far - std::min(below, so_far)) + "],";
      below = so_far;
    }
    const std::uint64_t all = seen.stats.wait_time.count() - then.stats.wait_time.count();
    out += "[null," + std::to_string(all - std::min(below, all)) + "]]}}";
  }

  static constexpr std::string_view control_path = "/pool/control/";

  tidepool::recent_lines log_;
  std::string token_;
  std::atomic<int> readers_{0};
  std::mutex mutex_;
  std::vector<shown_pool> pools_;
  std::string known_;
  clock::time_point known_at_;
  std::deque<clock::time_point> tries_;
};

#endif
