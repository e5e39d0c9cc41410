// SPDX-License-Identifier: BSL-1.0
// tidepool - a client of a sandbox, and what it asks for: whole requests, in parts that the server runs one after the other.
#ifndef TIDEPOOL_TESTING_POSTGRES_SANDBOX_CLIENT_HPP
#define TIDEPOOL_TESTING_POSTGRES_SANDBOX_CLIENT_HPP

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "sql_kind.hpp"
#include "wire.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail {

struct sandbox_client {
  int socket = -1;
  std::uint32_t number = 0;  ///< 0 before the login
  std::string in = {};
  char state = 'I';  ///< of the transaction, as the client sees it
  bool gone = false;
  bool cancelled = false;                            ///< its request, before its turn came
  bool served = false;                               ///< a request of it was run
  std::map<std::string, std::string> prepared = {};  ///< text by name
  std::optional<std::chrono::steady_clock::time_point> waits_since = {};
};

/// A part of a request, that the server runs as a whole.
struct sandbox_part {
  std::string messages = {};  ///< what the server gets; it ends with Query or Sync
  std::string sql = {};
  control kind = control::none;
  bool extended = false;
};

/// Takes the first whole message off `from`; empty when there is none.
inline std::string take_message(std::string& from) {
  if (from.size() < 5) return {};
  const std::size_t size = 1 + wire::reader(std::string_view(from).substr(1)).number(4);
  if (size < 5) from.clear();  // not the protocol
  if (from.size() < size) return {};
  std::string out = from.substr(0, size);
  from.erase(0, size);
  return out;
}

/// Clients share the server's session, so names of their prepared statements have to differ.
class names_of_client {
 public:
  explicit names_of_client(const sandbox_client& who) : prefix_(who.number == 1 ? "" : "c" + std::to_string(who.number) + "_") {}

  std::string in_message(const std::string& message) const {
    const auto body = std::string_view(message).substr(5);
    if (prefix_.empty()) return message;
    std::size_t at = std::string::npos;
    if (message[0] == 'B') at = body.find('\0') + 1;
    if ((message[0] == 'D' || message[0] == 'C') && body.starts_with('S')) at = 1;
    if (message[0] != 'P') return at >= body.size() ? message : wire::message(message[0], with_prefix(std::string(body), at));
    const auto name = body.substr(0, body.find('\0'));
    const auto sql = body.substr(name.size() + 1, body.find('\0', name.size() + 1) - name.size() - 1);
    const auto types = body.substr(name.size() + sql.size() + 2);
    return wire::message('P', with_prefix(wire::z(name), 0) + wire::z(in_statement(std::string(sql))) + std::string(types));
  }
  /// PREPARE, EXECUTE and DEALLOCATE of a name; other statements stay as they are.
  std::string in_statement(std::string sql) const {
    using scanner = tidepool::postgres::detail::sql_scanner;
    const auto is = [](std::string_view word, auto... lower) { return (scanner::same(word, lower) || ...); };
    scanner at(sql);
    at.skip_empty_statements();
    const auto verb = at.word();
    if (prefix_.empty() || !is(verb, "prepare", "execute", "deallocate")) return sql;
    at.skip_blanks();
    auto name = at;
    if (is(verb, "deallocate") && is(at.word(), "prepare")) {
      at.skip_blanks();
      name = at;
    }
    auto begin = sql.size() - name.left().size();
    if (name.take('"')) {
      ++begin;
    } else {
      const auto word = name.word();
      if (word.empty() || is(word, "all", "transaction")) return sql;
    }
    return sql.insert(begin, prefix_);
  }

 private:
  /// The nameless statement stays so.
  std::string with_prefix(std::string body, std::size_t at) const { return body[at] == '\0' ? body : body.insert(at, prefix_); }

  std::string prefix_;
};

inline std::vector<sandbox_part> parts_of_text(const sandbox_client& who, const std::string& text) {
  std::vector<sandbox_part> out;
  const names_of_client names(who);
  bool any = false;
  bool renamed = false;
  for (auto& each : statements_of(text)) {
    const auto kind = control_of(each);
    any = any || kind != control::none;
    const std::string sql = names.in_statement(each);
    renamed = renamed || sql != each;
    out.push_back({wire::message('Q', wire::z(sql)), std::move(each), kind});
  }
  // A text without statements about the transaction is one implicit transaction.
  if (!any && !(renamed && out.size() == 1)) return {sandbox_part{wire::message('Q', wire::z(text)), text}};
  return out;
}

inline std::vector<sandbox_part> parts_of_messages(sandbox_client& who, const std::vector<std::string>& request) {
  const names_of_client names(who);
  std::vector<sandbox_part> out(1);
  out.back().extended = true;
  std::string bound;
  for (const auto& message : request) {
    wire::reader at(std::string_view(message).substr(5));
    if (message[0] == 'P') {
      const std::string name = at.text();
      who.prepared.insert_or_assign(name, at.text());
    } else if (message[0] == 'B') {
      (void)at.text();
      bound = who.prepared[at.text()];
    }
    if (message[0] == 'S') continue;
    out.back().messages += names.in_message(message);
    if (message[0] != 'E') continue;
    out.back().sql = bound;
    const auto kind = control_of(bound);
    if (kind == control::none) continue;
    out.back().kind = kind;
    out.emplace_back().extended = true;
  }
  if (out.size() > 1 && out.back().messages.empty()) out.pop_back();
  for (auto& each : out) each.messages += wire::message('S', "");
  return out;
}

/// The next request that has come as a whole, if there is one. What is none is dropped: data of a COPY that has failed, as a server does.
inline std::optional<std::vector<sandbox_part>> take_request(sandbox_client& who) {
  while (!who.in.empty()) {
    const char first = who.in.front();
    if (std::string_view("PBDECHS").find(first) != std::string_view::npos) {
      std::string rest = who.in;
      std::vector<std::string> request;
      do {
        request.push_back(take_message(rest));
        if (request.back().empty()) return std::nullopt;
      } while (request.back()[0] != 'S');
      who.in = std::move(rest);
      return parts_of_messages(who, request);
    }
    const std::string message = take_message(who.in);
    if (message.empty()) break;
    if (first == 'Q') return parts_of_text(who, message.c_str() + 5);
    if (first == 'X') {
      who.gone = true;
      break;
    }
  }
  return std::nullopt;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail

#endif
