// SPDX-License-Identifier: BSL-1.0
// tidepool - a shared object that makes pools which others use.
#include <tidepool/instantiate.hpp>

#include "user.hpp"

const maker_functions* tidepool_test_maker() {
  static const maker_functions functions{
      [](tidepool::asio::io_context& io, const tidepool::pool_config& config, std::function<tidepool::asio::awaitable<counted>()> connect) {
        return std::make_unique<counted_pool>(io, std::move(connect), config);
      }};
  return &functions;
}
