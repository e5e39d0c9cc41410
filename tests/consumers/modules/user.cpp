// SPDX-License-Identifier: BSL-1.0
// tidepool - a shared object that uses a pool it is given. With hidden visibility it has its own copy of all that headers define.
#include "user.hpp"

const module_functions* tidepool_test_module() {
  static const module_functions functions{borrow, [] { return make_error_code(tidepool::errc::timeout); },
                                          [](const std::error_code& code) { return code == tidepool::errc::timeout; },
                                          [] { throw tidepool::connect_error(tidepool::failure_kind::permanent, "wrong password"); }};
  return &functions;
}
