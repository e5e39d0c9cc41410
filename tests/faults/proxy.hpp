// SPDX-License-Identifier: BSL-1.0
// tidepool - a TCP proxy on loopback that does to connections what networks do.
#ifndef TIDEPOOL_TESTS_FAULTS_PROXY_HPP
#define TIDEPOOL_TESTS_FAULTS_PROXY_HPP

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

namespace tidepool_faults {

enum class way { to_server, to_client };

/// Runs on a thread of its own. Settings hold for all connections, old and new, at once, unless they say otherwise.
class proxy {
 public:
  explicit proxy(unsigned target_port);
  ~proxy();
  proxy(const proxy&) = delete;
  proxy& operator=(const proxy&) = delete;

  unsigned port() const;
  /// `conninfo` with this proxy's port put last, where it counts.
  std::string before(const std::string& conninfo) const { return conninfo + " port=" + std::to_string(port()); }

  /// Nothing gets through, and no side gets an error; what was sent meanwhile arrives after `black_hole(false)`.
  void black_hole(bool on);
  /// Every connection, and every new one, gets a RST.
  void reset_everything(bool on);
  /// What arrives is passed on this much later, give or take a third.
  void delay(std::chrono::milliseconds each_way);
  /// Passes on so many bytes at a time; 0: as they come.
  void chop(std::size_t bytes);
  /// The next connection is cut after so many bytes one way.
  void cut_next(way direction, std::size_t after);
  /// The byte at this place of the next connection is changed by `mask`.
  void corrupt_next(way direction, std::size_t at, unsigned char mask);
  /// A client's first packet is answered with this text instead of passed on, its second with `then`; then the connection ends.
  /// Empty: as the server does.
  void answer_tls_request(const std::string& instead, const std::string& then = "");

  /// Says no to a client that asks for TLS, in the server's name, and passes on what it sends then.
  void deny_tls(bool on);
  /// Notes when this text first goes to a client, before it does; `time_point::max()` until then.
  void listen_for(const std::string& text);
  std::chrono::steady_clock::time_point heard() const;

  /// Connections taken so far, and how many bytes the last one that ended had passed on.
  int accepted() const;
  std::size_t passed(way direction) const;

 private:
  struct inside;
  std::unique_ptr<inside> in_;
};

}  // namespace tidepool_faults

#endif
