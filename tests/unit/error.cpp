// SPDX-License-Identifier: BSL-1.0
// tidepool - error codes and connectors' exceptions.
#include <tidepool/detail/util/cancellation.hpp>
#include <tidepool/error.hpp>

#include <cerrno>
#include <exception>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>

#if __has_include(<boost/system/error_code.hpp>)
#include <boost/system/error_code.hpp>
#endif

#include "support/catch.hpp"

namespace {

using namespace tidepool;

constexpr errc every_code[] = {errc::timeout,        errc::closed,    errc::queue_full, errc::circuit_open,
                               errc::connect_failed, errc::cancelled, errc::empty_lease};

TEST_CASE("given every error of the pool, when it becomes a code, then it has category and words of its own") {
  std::set<std::string> words;
  for (const errc e : every_code) {
    const tidepool::error_code code = e;
    CHECK(code);
    CHECK(code == e);
    CHECK(&code.category() == &pool_category());
    words.insert(code.message());
  }
  CHECK(words.size() == std::size(every_code));
  CHECK(std::string(pool_category().name()) == "tidepool");
  CHECK_FALSE(tidepool::error_code(errc{}));
}

TEST_CASE("given a number that is no error of the pool, when its message is asked for, then there still is one") {
  CHECK(pool_category().message(0) == "unknown pool error");
  CHECK(pool_category().message(999) == "unknown pool error");
}

TEST_CASE("given errors of the pool, when compared with the standard's conditions, then equals are equal") {
  CHECK(tidepool::error_code(errc::timeout) == std::errc::timed_out);
  CHECK(tidepool::error_code(errc::cancelled) == std::errc::operation_canceled);
  CHECK(tidepool::error_code(errc::queue_full) == std::errc::resource_unavailable_try_again);
  CHECK(tidepool::error_code(errc::connect_failed) == std::errc::not_connected);
  CHECK(tidepool::error_code(errc::circuit_open) == std::errc::not_connected);
  CHECK(tidepool::error_code(errc::closed) != std::errc::timed_out);
  CHECK(tidepool::error_code(errc::closed) == errc::closed);
  CHECK(tidepool::error_code(errc::closed) != errc::timeout);
}

TEST_CASE("given codes of the standard library and the flavour's, then both compare with the pool's errors") {
  const std::error_code standard = tidepool::error_code(errc::timeout);
  CHECK(standard == errc::timeout);
  CHECK(errc::timeout == standard);
  CHECK(standard != errc::closed);
  CHECK(standard == std::errc::timed_out);
  CHECK(standard == tidepool::error_code(errc::timeout));
  CHECK(tidepool::error_code(standard) == errc::timeout);
  CHECK(standard.message() == tidepool::error_code(errc::timeout).message());
  std::error_code made = errc::closed;  // by is_error_code_enum, of which each kind has one
  CHECK(made == errc::closed);
  made = errc::cancelled;
  CHECK(made == std::errc::operation_canceled);
  tidepool::error_code own;
  own = errc::cancelled;
  CHECK(own == tidepool::generic_errc::operation_canceled);
  CHECK(own ==
        tidepool::error_condition(std::make_error_condition(std::errc::operation_canceled).value(), tidepool::detail::generic_category()));
#if __has_include(<boost/system/error_code.hpp>)
  // In both flavours.
  const boost::system::error_code boosts = standard;
  CHECK(boosts == errc::timeout);
  CHECK(errc::timeout == boosts);
  CHECK(boosts != errc::closed);
  CHECK(boosts == std::errc::timed_out);
#endif
}

TEST_CASE("given the exception of a cancelled operation, of either kind, then it is known as a cancellation") {
  using tidepool::detail::is_cancellation;
  CHECK(is_cancellation(std::make_exception_ptr(tidepool::system_error(tidepool::asio::error::operation_aborted))));
  CHECK(is_cancellation(std::make_exception_ptr(std::system_error(std::make_error_code(std::errc::operation_canceled)))));
  CHECK(is_cancellation(std::make_exception_ptr(std::system_error(std::error_code(ECANCELED, std::system_category())))));
  CHECK_FALSE(is_cancellation(std::make_exception_ptr(std::system_error(std::make_error_code(std::errc::timed_out)))));
  CHECK_FALSE(is_cancellation(std::make_exception_ptr(std::runtime_error("cancelled"))));
  CHECK_FALSE(is_cancellation(std::exception_ptr()));
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
  const tidepool::error_code theirs(static_cast<int>(errc::timeout), other);
  REQUIRE(&theirs.category() != &pool_category());
  CHECK(theirs == errc::timeout);
  CHECK_FALSE(theirs == errc::closed);
  CHECK(theirs == std::errc::timed_out);
  CHECK(pool_category().equivalent(theirs, static_cast<int>(errc::timeout)));
  CHECK_FALSE(pool_category().equivalent(theirs, static_cast<int>(errc::closed)));
}

}  // namespace
