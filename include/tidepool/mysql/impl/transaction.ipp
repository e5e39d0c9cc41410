// SPDX-License-Identifier: BSL-1.0
// tidepool - transactions: see lazy.hpp.
#ifndef TIDEPOOL_MYSQL_IMPL_TRANSACTION_IPP
#define TIDEPOOL_MYSQL_IMPL_TRANSACTION_IPP

#include "../../version.hpp"
#include "../error.hpp"
#include "../transaction.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

TIDEPOOL_LAZY_BODY void transaction::refuse() { throw error(errc::bad_usage, "the transaction has ended"); }

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#endif
