// SPDX-License-Identifier: BSL-1.0
// tidepool - a network that consists of a loopback interface, with rules of nftables: packets get lost there, and are answered with RST.
#ifndef TIDEPOOL_TESTS_FAULTS_OWN_NETWORK_HPP
#define TIDEPOOL_TESTS_FAULTS_OWN_NETWORK_HPP

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

#include "processes.hpp"

namespace tidepool_faults {

/// While it lives, this thread and all it starts are in a network that consists of a loopback interface.
class own_network {
 public:
  own_network() : before_(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
    if (before_ < 0 || ::unshare(CLONE_NEWNET) != 0) {
      reason_ = "no network namespace of one's own is allowed here";
      return;
    }
    const int any = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    request.ifr_name[0] = 'l';
    request.ifr_name[1] = 'o';
    request.ifr_flags = IFF_UP;
    if (::ioctl(any, SIOCSIFFLAGS, &request) != 0) reason_ = "the loopback interface cannot be started";
    ::close(any);
    if (reason_.empty() && run_program({"sh", "-c", "PATH=$PATH:/usr/sbin:/sbin nft list ruleset"}).status != 0) {
      reason_ = "nftables is not installed, or the kernel has none";
    }
  }
  ~own_network() {
    (void)::setns(before_, CLONE_NEWNET);
    ::close(before_);
  }
  own_network(const own_network&) = delete;
  own_network& operator=(const own_network&) = delete;

  const std::string& reason() const { return reason_; }
  /// What happens to every packet from and to this port: "drop", "reject with tcp reset", or nothing.
  void rule(unsigned port, const std::string& what) const {
    // One call: all rules come into force together.
    std::string rules = "flush ruleset\n";
    if (!what.empty()) {
      rules += "add table ip t\nadd chain ip t o { type filter hook output priority 0; }\n";
      // A RST is itself a packet of this port, so answers go only to what is sent to it.
      const bool one_way = what != "drop";
      rules += "add rule ip t o tcp dport " + std::to_string(port) + " " + what + "\n";
      if (!one_way) rules += "add rule ip t o tcp sport " + std::to_string(port) + " " + what + "\n";
    }
    if (run_program({"sh", "-c", "printf '%s' '" + rules + "' | PATH=$PATH:/usr/sbin:/sbin nft -f -"}).status != 0) {
      throw std::runtime_error("nft failed");
    }
  }

 private:
  int before_;
  std::string reason_;
};

}  // namespace tidepool_faults

#endif
