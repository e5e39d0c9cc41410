// SPDX-License-Identifier: BSL-1.0
// tidepool - what the SQLite tests share: a folder of their own, running a coroutine, catching its error.
#ifndef TIDEPOOL_TESTS_SQLITE_KIT_HPP
#define TIDEPOOL_TESTS_SQLITE_KIT_HPP

#include <chrono>
#include <exception>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <tidepool/sqlite.hpp>

#include "../support/catch.hpp"
#include "../support/driver_kit.hpp"

namespace tidepool_tests {

namespace lite = tidepool::sqlite;

/// A folder that is gone with the object.
class folder {
 public:
  folder() {
    std::string name = (std::filesystem::temp_directory_path() / "tidepool-sqlite.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder for the test");
    path_ = name;
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  ~folder() {
    std::error_code ignored;  // NOLINT: of std::filesystem
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

template <class T>
asio::awaitable<lite::error> error_of(asio::awaitable<T> operation) {
  return expect_error<lite::error>(std::move(operation));
}
template <class Work>
void with_pool(const lite::connector& place, const tidepool::pool_config& config, Work work) {
  run_with_pool<lite::pool>(place, config, std::move(work));
}

/// Counts for a long time: for what has to be interrupted.
inline constexpr const char* endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";

}  // namespace tidepool_tests

#endif
