// SPDX-License-Identifier: BSL-1.0
// tidepool - a primary and its streaming standby.
#ifndef TIDEPOOL_TESTS_FAULTS_PAIR_HPP
#define TIDEPOOL_TESTS_FAULTS_PAIR_HPP

#include <memory>
#include <stdexcept>
#include <string>

#include "checks.hpp"
#include "server.hpp"

namespace tidepool_faults {

/// A primary with a table, and its standby.
class pair_of_servers {
 public:
  explicit pair_of_servers(const std::string& name) : first(name + "1") {
    first.admin("alter system set wal_log_hints = on");
    first.admin("alter system set full_page_writes = on");
    first.admin("alter system set wal_keep_size = '256MB'");  // or pg_rewind may not find what it needs
    first.stop("fast");
    first.start();
    first.admin("create table entries (id bigserial, at timestamptz default now())");
    const auto made = run_program({servers_script(), "standby", first.dir(), yard() + "/" + name + "2"});
    if (made.status != 0) throw std::runtime_error("no standby");
    second = std::make_unique<server>(name + "2", made.output);
    for (int i = 0; i < 500 && second->admin("select 1 from pg_stat_wal_receiver where status = 'streaming'").empty(); ++i) wait_for(20ms);
  }
  setup load() const {
    setup with;
    with.conninfo = first.conninfo() + " host=127.0.0.1,127.0.0.1 port=" + std::to_string(first.port()) + "," +
                    std::to_string(second->port()) + " target_session_attrs=read-write";
    with.connect_timeout = 2000ms;
    with.statement = "insert into entries default values";
    with.writes = true;
    return with;
  }

  server first;
  std::unique_ptr<server> second;
};

}  // namespace tidepool_faults

#endif
