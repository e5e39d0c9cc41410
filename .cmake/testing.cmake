# SPDX-License-Identifier: BSL-1.0
# tidepool - how ctest runs our programs.
set(TIDEPOOL_TEST_PREFIX "" CACHE STRING "Put before the name of every test")
set(TIDEPOOL_TEST_TIMEOUT 300 CACHE STRING "Seconds after which a test counts as hanging")
set(TIDEPOOL_TEST_SERVER "" CACHE STRING "PostgreSQL for the tests, as libpq's connection string; otherwise TIDEPOOL_TEST_PG of the environment")
set(TIDEPOOL_TEST_MYSQL_DIR "" CACHE STRING "Folder of a MariaDB that tests/support/mariadb_server.sh runs; otherwise TIDEPOOL_TEST_MYSQL_DIR of the environment")
set(TIDEPOOL_TEST_FIXTURE "" CACHE STRING "Fixture of ctest that every test needs: what builds them (tests/run.sh)")
set(TIDEPOOL_TEST_LAST_FIXTURE "" CACHE STRING "Fixture of ctest that tests with servers need as well: what builds the last configuration")

# A failed check of a sanitizer ends the program, so ctest sees it.
set(tidepool_test_environment
    "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1"
    "UBSAN_OPTIONS=print_stacktrace=1" "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")
if(TIDEPOOL_TEST_SERVER)
  list(APPEND tidepool_test_environment "TIDEPOOL_TEST_PG=${TIDEPOOL_TEST_SERVER}")
endif()

if(TIDEPOOL_TEST_MYSQL_DIR)
  list(APPEND tidepool_test_environment "TIDEPOOL_TEST_MYSQL_DIR=${TIDEPOOL_TEST_MYSQL_DIR}")
endif()

# run.sh lets three times as many run as there are processors, and each counts double: those of servers wait, but their servers compute.
set(tidepool_server_areas postgres mysql faults mysql_faults fleet)
function(tidepool_add_test area name)
  set(fixtures ${TIDEPOOL_TEST_FIXTURE})
  if(area IN_LIST tidepool_server_areas)
    list(APPEND fixtures ${TIDEPOOL_TEST_LAST_FIXTURE}) # they have deadlines: not beside compilers that take their time
  endif()
  set(environment ${tidepool_test_environment})
  if(area MATCHES "^(misuse|consumers|headers)$") # compilers: as in tests/support/build.sh
    list(APPEND environment "GLIBC_TUNABLES=glibc.malloc.hugetlb=1")
  endif()
  set(test ${TIDEPOOL_TEST_PREFIX}${area}.${name})
  add_test(NAME ${test} ${ARGN})
  set_tests_properties(${test} PROPERTIES PROCESSORS 2 TIMEOUT ${TIDEPOOL_TEST_TIMEOUT} LABELS ${area}
                       ENVIRONMENT "${environment}" FIXTURES_REQUIRED "${fixtures}")
  if(area STREQUAL "mysql") # some change settings of the whole server
    set_tests_properties(${test} PROPERTIES RESOURCE_LOCK ${TIDEPOOL_TEST_PREFIX}mysql)
  endif()
  # The longest begin first, so that none of them runs alone at the end.
  if("${area}.${name}" MATCHES "^(misuse.words|(mysql_)?faults.(outages|backends|network|failover|switchover|sessions)|simulator..*|pool.(lifetime|acquire|product)|consumers.package)$")
    set_tests_properties(${test} PROPERTIES COST 30)
  endif()
endfunction()
