// SPDX-License-Identifier: BSL-1.0
// tidepool - which calls of the client library the driver makes: none that waits may be among them.
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "../support/catch.hpp"

namespace {

/// Besides those that can be suspended, `..._start` and `..._cont`: each, and why it does not wait.
const std::map<std::string, std::string>& may_be_called() {
  static const std::map<std::string, std::string> calls = {
      {"mysql_library_init", "once"},
      {"mysql_init", "memory"},
      {"mysql_optionsv", "memory"},
      {"mysql_set_local_infile_handler", "memory"},
      {"mysql_close", "a packet of five bytes to an empty buffer, or none because the socket was shut before"},
      {"mysql_stmt_init", "memory"},
      {"mysql_stmt_bind_param", "memory"},
      {"mysql_stmt_bind_result", "memory"},
      {"mysql_stmt_fetch", "of rows that mysql_stmt_store_result has received"},
      {"mysql_stmt_fetch_column", "of the row that is there"},
      {"mysql_stmt_free_result", "after the last row"},
      {"mysql_stmt_close", "of a statement that the server does not have: never prepared, or gone by a reset or the end"},
      {"mysql_stmt_result_metadata", "memory"},
      {"mysql_free_result", "of stored rows"},
      {"mysql_fetch_row", "of stored rows"},
      {"mysql_fetch_lengths", "memory"},
      {"mysql_fetch_fields", "memory"},
      {"mariadb_stmt_fetch_fields", "memory"},
      {"mariadb_connection", "memory"},
      {"mysql_affected_rows", "memory"},
      {"mysql_errno", "memory"},
      {"mysql_error", "memory"},
      {"mysql_sqlstate", "memory"},
      {"mysql_field_count", "memory"},
      {"mysql_get_server_info", "memory"},
      {"mysql_get_server_version", "memory"},
      {"mysql_get_socket", "memory"},
      {"mysql_get_ssl_cipher", "memory"},
      {"mysql_insert_id", "memory"},
      {"mysql_more_results", "memory"},
      {"mysql_num_fields", "memory"},
      {"mysql_thread_id", "memory"},
      {"mysql_warning_count", "memory"},
      {"mysql_stmt_affected_rows", "memory"},
      {"mysql_stmt_errno", "memory"},
      {"mysql_stmt_error", "memory"},
      {"mysql_stmt_sqlstate", "memory"},
      {"mysql_stmt_field_count", "memory"},
      {"mysql_stmt_insert_id", "memory"},
      {"mysql_stmt_more_results", "memory"},
      {"mysql_stmt_num_rows", "memory"},
      {"mysql_stmt_param_count", "memory"},
  };
  return calls;
}

}  // namespace

TEST_CASE("given the driver's headers, when their calls of the client library are listed, then none can wait") {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(__FILE__).parent_path().parent_path().parent_path() / "include" / "tidepool" / "mysql";
  if (!fs::exists(folder)) {
    WARN("skipped: the headers are not where this file was compiled from");
    return;
  }
  const std::regex call(R"(\b(m(?:ysql|ariadb)_[a-z_0-9]+)\b(?=\(|\)?>|, &|\)))");
  std::set<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".hpp" && entry.path().extension() != ".ipp") continue;
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      line = line.substr(0, line.find("//"));
      for (auto at = std::sregex_iterator(line.begin(), line.end(), call); at != std::sregex_iterator(); ++at) {
        const std::string name = (*at)[1];
        if (name.ends_with("_start") || name.ends_with("_cont") || name == "mysql_native_password") continue;
        found.insert(name);
        INFO(entry.path().filename().string() << ": " << name);
        CHECK(may_be_called().contains(name));
      }
    }
  }
  // What is allowed and not used would hide a call that comes back.
  for (const auto& [name, why] : may_be_called()) {
    INFO(name << ": " << why);
    CHECK(found.contains(name));
  }
}
