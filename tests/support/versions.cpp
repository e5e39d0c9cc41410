// SPDX-License-Identifier: BSL-1.0
// tidepool - prints what a build of the tests was made of, one `name=version` a line, for the table of tests/matrix.sh.
#include <cstdio>
#include <new>  // see catch.hpp
#include <string>
#include <version>

#ifdef TIDEPOOL_BOOST_ASIO
#include <boost/asio/version.hpp>
#include <boost/version.hpp>
#else
#include <asio/version.hpp>
#endif
#if __has_include(<catch2/catch_version_macros.hpp>)
#include <catch2/catch_version_macros.hpp>
#else
#include <catch2/catch.hpp>
#endif
#ifdef TIDEPOOL_HAS_LIBPQ
#include <libpq-fe.h>

#include <cstdlib>
#include <memory>
#endif

namespace {

std::string dotted(int first, int second, int third) {
  return std::to_string(first) + "." + std::to_string(second) + "." + std::to_string(third);
}
void tell(const char* name, const std::string& version) { std::printf("%s=%s\n", name, version.c_str()); }

void tell_of_the_server() {
#ifdef TIDEPOOL_HAS_LIBPQ
  const int libpq = PQlibVersion();
  tell("libpq", std::to_string(libpq / 10000) + "." + std::to_string(libpq % 10000));
  const char* const where = std::getenv("TIDEPOOL_TEST_PG");
  if (where == nullptr) return;
  const std::unique_ptr<PGconn, void (*)(PGconn*)> server(PQconnectdb(where), PQfinish);
  const char* const version = PQparameterStatus(server.get(), "server_version");
  if (version != nullptr) tell("server", std::string(version).substr(0, std::string(version).find(' ')));
#endif
}

}  // namespace

int main() {
#ifdef __clang__
  tell("compiler", "Clang " + dotted(__clang_major__, __clang_minor__, __clang_patchlevel__));
#else
  tell("compiler", "GCC " + dotted(__GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__));
#endif
#ifdef _LIBCPP_VERSION
  constexpr int libcpp = _LIBCPP_VERSION < 100000 ? _LIBCPP_VERSION * 10 : _LIBCPP_VERSION;
  tell("library", "libc++ " + dotted(libcpp / 10000, libcpp / 100 % 100, libcpp % 100));
#else
  tell("library", "libstdc++ " + std::to_string(_GLIBCXX_RELEASE) + " (" + std::to_string(__GLIBCXX__) + ")");
#endif
#ifdef TIDEPOOL_BOOST_ASIO
  tell("asio", "Boost " + dotted(BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100));
#else
  tell("asio", "Asio " + dotted(ASIO_VERSION / 100000, ASIO_VERSION / 100 % 1000, ASIO_VERSION % 100));
#endif
  tell("catch2", dotted(CATCH_VERSION_MAJOR, CATCH_VERSION_MINOR, CATCH_VERSION_PATCH));
  tell_of_the_server();
}
