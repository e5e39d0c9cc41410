// SPDX-License-Identifier: BSL-1.0
// tidepool - which libpq calls the driver makes: none that blocks may be among them.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>

#include <tidepool/postgres/detail/tls_pending.hpp>

#include "kit.hpp"

using namespace tidepool_tests;

namespace {

/// May run on a thread that serves an event loop, and why.
const std::map<std::string, std::string>& allowed() {
  static const std::map<std::string, std::string> calls = {
      // Start or continue; they never wait. Names are resolved before, so none is looked up; the password file is read.
      {"PQconnectStartParams", "asynchronous"},
      {"PQconnectPoll", "asynchronous; called when the socket is ready, and on a thread where it may compute for long"},
      {"PQsendQuery", "buffers"},
      {"PQsendQueryParams", "buffers"},
      {"PQsendQueryPrepared", "buffers"},
      {"PQsendDescribePrepared", "buffers"},
      {"PQsendPrepare", "buffers"},
      {"PQsendClosePrepared", "buffers"},
      {"PQputCopyData", "buffers, in non-blocking mode"},
      {"PQputCopyEnd", "buffers, in non-blocking mode"},
      {"PQpipelineSync", "buffers and flushes without waiting, in non-blocking mode"},
      {"PQsendPipelineSync", "buffers"},
      {"PQflush", "sends without waiting, in non-blocking mode"},
      {"PQconsumeInput", "reads what is there"},
      {"PQgetResult", "called only when PQisBusy says no"},
      {"PQgetCopyData", "called with async = 1"},
      {"PQfinish", "sends Terminate without waiting, in non-blocking mode"},
      // Look at or set memory.
      {"PQisBusy", "memory"},
      {"PQnotifies", "memory"},
      {"PQstatus", "memory"},
      {"PQsocket", "memory"},
      {"PQtransactionStatus", "memory"},
      {"PQpipelineStatus", "memory"},
      {"PQparameterStatus", "memory"},
      {"PQserverVersion", "memory"},
      {"PQhost", "memory"},
      {"PQhostaddr", "memory"},
      {"PQport", "memory"},
      {"PQlibVersion", "a constant"},
      {"PQbackendPID", "memory"},
      {"PQerrorMessage", "memory"},
      {"PQsslInUse", "memory"},
      {"PQsslStruct", "memory"},
      {"PQconnectionNeedsPassword", "memory"},
      {"PQconnectionUsedPassword", "memory"},
      {"PQsetnonblocking", "flushes an empty buffer"},
      {"PQsetErrorVerbosity", "memory"},
      {"PQsetNoticeReceiver", "memory"},
      {"PQsetSingleRowMode", "memory"},
      {"PQsetChunkedRowsMode", "memory"},
      {"PQenterPipelineMode", "memory"},
      {"PQexitPipelineMode", "memory"},
      {"PQescapeIdentifier", "memory"},
      {"PQgetCancel", "copies the address and the key"},
      {"PQfreeCancel", "memory"},
      {"PQfreemem", "memory"},
      {"PQclear", "memory"},
      {"PQresultStatus", "memory"},
      {"PQregisterEventProc", "memory"},
      {"PQresultAlloc", "memory"},
      {"PQresultSetInstanceData", "memory"},
      {"PQresultInstanceData", "memory"},
      {"PQresultErrorField", "memory"},
      {"PQresultErrorMessage", "memory"},
      {"PQresultMemorySize", "memory"},
      {"PQntuples", "memory"},
      {"PQnfields", "memory"},
      {"PQfname", "memory"},
      {"PQftype", "memory"},
      {"PQnparams", "memory"},
      {"PQparamtype", "memory"},
      {"PQgetvalue", "memory"},
      {"PQgetlength", "memory"},
      {"PQgetisnull", "memory"},
      {"PQcmdStatus", "memory"},
      {"PQcmdTuples", "memory"},
      {"PQclientEncoding", "memory"},
      {"PQgssEncInUse", "memory"},
      // When options are made, before any event loop is involved; they read files and the environment.
      {"PQconninfoFree", "options"},
      {"PQconndefaults", "options"},
      {"PQconninfo", "options"},
      // Blocks, and runs on a thread of its own.
      {"PQcancel", "cancel_request.hpp only"},
      {"PQcancelBlocking", "cancel_request.hpp only"},
      {"PQcancelReset", "frees memory, closes a socket"},
      {"PQcancelStart", "asynchronous; the address is known, so no name is looked up"},
      {"PQcancelPoll", "asynchronous; called when the socket is ready"},
      {"PQcancelSocket", "memory"},
      {"PQcancelFinish", "frees memory, closes a socket"},
      {"PQcancelCreate", "copies the address, the key and the options"},
  };
  return calls;
}

}  // namespace

TEST_CASE("given the driver's headers, when their libpq calls are listed, then none can block the loop", "[postgres]") {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(__FILE__).parent_path().parent_path().parent_path() / "include" / "tidepool" / "postgres";
  if (!fs::exists(folder)) {
    WARN("skipped: the headers are not where this file was compiled from");
    return;
  }
  const std::regex call(R"(\b(PQ[A-Za-z]+)\b)");
  std::set<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".hpp" && entry.path().extension() != ".ipp") continue;
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      line = line.substr(0, line.find("//"));
      for (auto at = std::sregex_iterator(line.begin(), line.end(), call); at != std::sregex_iterator(); ++at) {
        const std::string name = (*at)[1];
        if (name == "PQconninfoOption") continue;  // a type
        found.insert(name);
        INFO(entry.path().filename().string() << ": " << name);
        CHECK(allowed().contains(name));
        if (allowed().contains(name) && allowed().at(name).starts_with("cancel_request.hpp")) {
          CHECK(entry.path().filename() == "cancel_request.hpp");
        }
      }
    }
  }
  CHECK(found.contains("PQconsumeInput"));
  // What is allowed and not used would hide a call that comes back.
  for (const auto& [name, why] : allowed()) {
    INFO(name << ": " << why);
    CHECK(found.contains(name));
  }
}

TEST_CASE("given TLS whose buffer cannot be seen, when libpq leaves bytes there, then connecting is refused", "[postgres][field-R11]") {
  using pg::detail::blind_to_tls;
  CHECK(blind_to_tls(150018, true).empty());
  const auto why = blind_to_tls(150018, false);
  CHECK(why.find("libpq 15.18") != std::string::npos);
  CHECK(why.find("SSL_pending") != std::string::npos);
  for (const int mended : {140025, 150020, 160016, 170012, 180006, 190000}) {
    CHECK(blind_to_tls(mended, false).empty());
    if (mended != 190000) CHECK_FALSE(blind_to_tls(mended - 1, false).empty());
  }
}

TEST_CASE("given a program with libpq, when OpenSSL's function is looked for, then it is found without a name", "[postgres][field-R11]") {
  // As with static linking, where no name is to be found at run time.
  CHECK(&tidepool_ssl_pending != nullptr);
  CHECK(pg::detail::find_ssl_pending() == &tidepool_ssl_pending);
}
