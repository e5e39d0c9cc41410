// SPDX-License-Identifier: BSL-1.0
// tidepool - error codes and connectors' exceptions.
#include <tidepool/error.hpp>

#include <set>
#include <string>
#include <system_error>

#include "support/catch.hpp"

namespace {

using namespace tidepool;

constexpr errc every_code[] = {errc::timeout,        errc::closed,    errc::queue_full, errc::circuit_open,
                               errc::connect_failed, errc::cancelled, errc::empty_lease};

TEST_CASE("given every error of the pool, when it becomes a code, then it has category and words of its own") {
  std::set<std::string> words;
  for (const errc e : every_code) {
    const std::error_code code = e;
    CHECK(code);
    CHECK(code == e);
    CHECK(&code.category() == &pool_category());
    words.insert(code.message());
  }
  CHECK(words.size() == std::size(every_code));
  CHECK(std::string(pool_category().name()) == "tidepool");
  CHECK_FALSE(std::error_code(errc{}));
}

TEST_CASE("given a number that is no error of the pool, when its message is asked for, then there still is one") {
  CHECK(pool_category().message(0) == "unknown pool error");
  CHECK(pool_category().message(999) == "unknown pool error");
}

TEST_CASE("given errors of the pool, when compared with the standard's conditions, then equals are equal") {
  CHECK(std::error_code(errc::timeout) == std::errc::timed_out);
  CHECK(std::error_code(errc::cancelled) == std::errc::operation_canceled);
  CHECK(std::error_code(errc::queue_full) == std::errc::resource_unavailable_try_again);
  CHECK(std::error_code(errc::connect_failed) == std::errc::not_connected);
  CHECK(std::error_code(errc::circuit_open) == std::errc::not_connected);
  CHECK(std::error_code(errc::closed) != std::errc::timed_out);
  CHECK(std::error_code(errc::closed) == errc::closed);
  CHECK(std::error_code(errc::closed) != errc::timeout);
}

TEST_CASE("given a connector's exception, when the pool looks at it, then it finds text and kind") {
  const failure_kind kind = GENERATE(failure_kind::transient, failure_kind::permanent, failure_kind::server_full);
  const connect_error thrown(kind, "no route to the sea");
  const std::exception& as_exception = thrown;
  CHECK(std::string(as_exception.what()) == "no route to the sea");
  const auto* failure = dynamic_cast<const connect_failure*>(&as_exception);
  REQUIRE(failure != nullptr);
  CHECK(failure->kind() == kind);
}

TEST_CASE("given the category of another shared object, when codes are compared, then equal values are equal", "[field-N3]") {
  const tidepool::detail::pool_category other{};  // as a library that hides its symbols would have
  const std::error_code theirs(static_cast<int>(errc::timeout), other);
  REQUIRE(&theirs.category() != &pool_category());
  CHECK(theirs == errc::timeout);
  CHECK_FALSE(theirs == errc::closed);
  CHECK(theirs == std::errc::timed_out);
  CHECK(pool_category().equivalent(theirs, static_cast<int>(errc::timeout)));
  CHECK_FALSE(pool_category().equivalent(theirs, static_cast<int>(errc::closed)));
}

}  // namespace
