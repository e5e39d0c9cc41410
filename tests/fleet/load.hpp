// SPDX-License-Identifier: BSL-1.0
// tidepool - writers and readers on a cluster, with a record of what they were told. It hides Asio and the driver: load.cpp has them.
#ifndef TIDEPOOL_TESTS_FLEET_LOAD_HPP
#define TIDEPOOL_TESTS_FLEET_LOAD_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fleet.hpp"

namespace tidepool_fleet {

enum class ending {
  confirmed,
  refused,  ///< there was no connection to be had
  failed,   ///< the server refused it, nothing was done
  unknown   ///< the connection was lost before the answer
};

/// One write, by its client's own record.
struct written {
  std::string id;
  moment asked{}, granted{}, ended{};
  ending how = ending::refused;
  bool read_only = false;  ///< 25006
  int node = 0;
  std::string why{};
};
/// One read.
struct was_read {
  moment asked{}, ended{};
  bool bounded = true;
  bool ok = false;
  bool leased = false;
  bool at_replica = false;
  int node = 0;
  double behind_ms = 0;  ///< from the confirmation of the first beat that it did not see until its lease was granted
  std::string why{};
};

struct load_setup {
  std::string row;  ///< of the ids
  std::string hosts = all_hosts();
  int writers = 8;
  int readers = 6;
  int careless_readers = 0;  ///< that take a replica however far it is behind
  milliseconds max_lag{1000};
  milliseconds abort_grace{2000};
};

class load {
 public:
  explicit load(load_setup how);
  load(const load&) = delete;
  load& operator=(const load&) = delete;
  ~load();

  /// Until it runs at all hosts. False: it does not.
  bool started();
  void stop();

  /// When the pool of that node had this many connections for the first time after `from`; `moment::max()`: not yet.
  moment full_after(int node, moment from) const;
  std::size_t full_size() const;
  std::string topology() const;
  std::uint64_t refused_writes() const;
  bool behind_pooler() const;
  // After `stop()`.
  const std::vector<written>& writes() const;
  const std::vector<was_read>& reads() const;

 private:
  struct inside;
  std::unique_ptr<inside> in_;
};

/// One of several processes that share the server's places: works until its standard input ends, with a line of figures every 200 ms:
/// connections to the primary; leases granted, refused, and lost so far. Nonzero: `open()` has failed.
int share_places();

}  // namespace tidepool_fleet

#endif
