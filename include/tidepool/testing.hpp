// SPDX-License-Identifier: BSL-1.0
// tidepool - includes the testing kit: tests of your own code in virtual time, with a server that fails on demand.
//     tidepool::testing::simulation sim(seed);                 // the seed decides the order of events and the faults
//     tidepool::testing::world server(sim);                    // up, and without faults until you change that
//     tidepool::basic_pool<fake_connection, simulated_traits<fake_connection>> pool(sim.get_executor(), server.connector(), config);
//     asio::co_spawn(sim.get_executor(), my_handler(pool), asio::detached);
//     sim.run_for(30min);                                      // returns after some microseconds
//
// examples/testing_a_handler.cpp is a complete test.
#ifndef TIDEPOOL_TESTING_HPP
#define TIDEPOOL_TESTING_HPP

#include "testing/checked_mutex.hpp"
#include "testing/choice_source.hpp"
#include "testing/fake_connection.hpp"
#include "testing/simulated_traits.hpp"
#include "testing/simulation.hpp"
#include "testing/thread_binding.hpp"
#include "testing/virtual_clock.hpp"
#include "testing/virtual_timer.hpp"
#include "testing/world.hpp"

#endif
