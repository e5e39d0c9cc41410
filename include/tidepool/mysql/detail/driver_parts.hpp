// SPDX-License-Identifier: BSL-1.0
// tidepool - what this driver takes from detail/driver/, by short names.
#ifndef TIDEPOOL_MYSQL_DETAIL_DRIVER_PARTS_HPP
#define TIDEPOOL_MYSQL_DETAIL_DRIVER_PARTS_HPP

#include "../../detail/driver/address_memory.hpp"
#include "../../detail/driver/asio_io.hpp"
#include "../../detail/driver/gate.hpp"
#include "../../detail/driver/hangup_watch.hpp"
#include "../../detail/driver/real_time.hpp"
#include "../../detail/driver/recency_list.hpp"
#include "../../detail/driver/socket_copy.hpp"
#include "../../detail/driver/socket_shutdown.hpp"
#include "../../detail/driver/text.hpp"
#include "../../detail/driver/wait_timer.hpp"
#include "../../detail/util/words.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

using tidepool::detail::await_token;
using tidepool::detail::gate;
using tidepool::detail::gate_keeper;
using tidepool::detail::gate_opener;
using tidepool::detail::hangup_guard;
using tidepool::detail::in_words;
using tidepool::detail::printable;
using tidepool::detail::seconds_text;
using tidepool::detail::driver::address_memory;
using tidepool::detail::driver::attempt_note;
using tidepool::detail::driver::clock;
using tidepool::detail::driver::deadline_guard;
using tidepool::detail::driver::later;
using tidepool::detail::driver::real_timer;
using tidepool::detail::driver::shutdown_reason;
using tidepool::detail::driver::socket_copy;
using tidepool::detail::driver::socket_shutdown;
using tidepool::detail::driver::wait_timer;
using wait_type = asio::posix::stream_descriptor::wait_type;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
