// SPDX-License-Identifier: BSL-1.0
// tidepool - compares tokens with that of the page /pool, for secret.sh to count what it costs: with an argument N the token that a client
// gives differs in its byte N.
#include <cstdlib>
#include <string>

#include "same_secret.hpp"

int main(int arguments, char** argument) {
  const std::string secret = "0123456789abcdef0123456789abcdef";
  std::string given = secret;
  const auto at = static_cast<std::size_t>(arguments > 1 ? std::atoi(argument[1]) : 0);
  given.at(at) = '#';
  int same = 0;
  for (int i = 0; i < 20'000; ++i) same += same_secret(given, secret) ? 1 : 0;
  return same == 0 && same_secret(secret, secret) && !same_secret("", secret) && !same_secret(secret + "0", secret) ? 0 : 1;
}
