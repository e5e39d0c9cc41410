// SPDX-License-Identifier: BSL-1.0
// tidepool - transactions: see lazy.hpp.
#ifndef TIDEPOOL_SQLITE_IMPL_TRANSACTION_IPP
#define TIDEPOOL_SQLITE_IMPL_TRANSACTION_IPP

#include "../../version.hpp"
#include "../error.hpp"
#include "../transaction.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

TIDEPOOL_LAZY_BODY void transaction::refuse() { throw error(errc::bad_usage, "the transaction has ended: its body has returned"); }

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#endif
