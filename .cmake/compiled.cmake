# SPDX-License-Identifier: BSL-1.0
# tidepool - targets that compile the library once. Used by its own build and, installed, by that of its users: a library that was built
# before would be bound to one compiler, standard library, Asio and set of flags.

# tidepool_add_compiled(NAME BASE HEADER): a static library, built when something links it, that is `#include <HEADER>`. What links it gets
# BASE, and headers that only declare. Honours CMAKE_POSITION_INDEPENDENT_CODE.
function(tidepool_add_compiled name base header)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include <${header}>\n" @ONLY)
  add_library(${name} STATIC EXCLUDE_FROM_ALL ${source})
  target_link_libraries(${name} PUBLIC ${base})
  target_compile_definitions(${name} PUBLIC TIDEPOOL_SEPARATE_COMPILATION)
endfunction()
