// SPDX-License-Identifier: BSL-1.0
// tidepool - getaddrinfo is this program's own: it knows the names of the tests, and answers some of them late.
#ifndef TIDEPOOL_TESTS_NAME_SERVER_HPP
#define TIDEPOOL_TESTS_NAME_SERVER_HPP

#include <arpa/inet.h>
#include <netdb.h>

#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace tidepool_tests {

/// Names and their addresses; a slow one is answered when it is released.
struct name_server {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::vector<std::string>> names{{"localhost", {"127.0.0.1"}}};  // other tests of this program name it
  bool released = false;
  std::map<std::string, int> asked;

  static name_server& here() {
    static name_server one;
    return one;
  }
  void set(const std::string& name, std::vector<std::string> addresses) {
    const std::lock_guard lock(mutex);
    names[name] = std::move(addresses);
  }
  int count(const std::string& name) {
    const std::lock_guard lock(mutex);
    return asked[name];
  }
  void release(bool now) {
    const std::lock_guard lock(mutex);
    released = now;
    changed.notify_all();
  }
};

inline int find_addresses(const char* node, const char* service, const addrinfo* hints, addrinfo** out) {
  if (node == nullptr) return EAI_NONAME;
  auto& known = name_server::here();
  const std::string name = node;
  std::vector<std::string> found;
  in_addr numeric{};
  {
    std::unique_lock lock(known.mutex);
    ++known.asked[name];
    if (name.starts_with("slow")) known.changed.wait(lock, [&] { return known.released; });
    const auto at = known.names.find(name);
    if (inet_pton(AF_INET, node, &numeric) == 1) {
      found.push_back(name);
    } else if (at != known.names.end()) {
      found = at->second;
    }
  }
  addrinfo* first = nullptr;
  addrinfo** tail = &first;
  for (const auto& address : found) {
    auto* const made = static_cast<addrinfo*>(std::calloc(1, sizeof(addrinfo)));
    auto* const where = static_cast<sockaddr_in*>(std::calloc(1, sizeof(sockaddr_in)));
    where->sin_family = AF_INET;
    where->sin_port = htons(static_cast<std::uint16_t>(service == nullptr ? 0 : std::atoi(service)));
    inet_pton(AF_INET, address.c_str(), &where->sin_addr);
    made->ai_family = AF_INET;
    made->ai_socktype = hints == nullptr ? SOCK_STREAM : hints->ai_socktype;
    made->ai_addrlen = sizeof(sockaddr_in);
    made->ai_addr = reinterpret_cast<sockaddr*>(where);
    *tail = made;
    tail = &made->ai_next;
  }
  if (first == nullptr) return EAI_NONAME;
  *out = first;
  return 0;
}
inline void free_addresses(addrinfo* list) noexcept {
  while (list != nullptr) {
    addrinfo* const next = list->ai_next;
    std::free(list->ai_addr);
    std::free(list);
    list = next;
  }
}

}  // namespace tidepool_tests

// In a program of one file. Those of name_server.cpp win against them, and against the sanitizers'.
#if !defined(TIDEPOOL_TESTS_NAME_SERVER)
extern "C" __attribute__((weak)) int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** out) {
  return tidepool_tests::find_addresses(node, service, hints, out);
}
extern "C" __attribute__((weak)) void freeaddrinfo(addrinfo* list) noexcept { tidepool_tests::free_addresses(list); }
#endif

#endif
