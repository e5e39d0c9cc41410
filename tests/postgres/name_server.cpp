// SPDX-License-Identifier: BSL-1.0
// tidepool - getaddrinfo and freeaddrinfo of the program with all these tests.
#define TIDEPOOL_TESTS_NAME_SERVER
#include "name_server.hpp"

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** out) {
  return tidepool_tests::find_addresses(node, service, hints, out);
}
extern "C" void freeaddrinfo(addrinfo* list) noexcept { tidepool_tests::free_addresses(list); }
