# SPDX-License-Identifier: BSL-1.0
# tidepool - for tests/run.sh: the pool's header, which examples and benchmarks include first of all, is compiled once for all of them.
option(TIDEPOOL_PRECOMPILE_PROGRAMS "Precompile the pool's header for examples and benchmarks" OFF)
if(TIDEPOOL_PRECOMPILE_PROGRAMS)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/precompiled.cpp CONTENT "#include <tidepool/pool.hpp>\n" @ONLY)
  foreach(kind tidepool tidepool_compiled)
    add_library(${kind}_precompiled OBJECT EXCLUDE_FROM_ALL ${PROJECT_BINARY_DIR}/precompiled.cpp)
    target_link_libraries(${kind}_precompiled PRIVATE tidepool_strict)
    target_precompile_headers(${kind}_precompiled PRIVATE <tidepool/pool.hpp>)
  endforeach()
  target_compile_definitions(tidepool_compiled_precompiled PRIVATE TIDEPOOL_SEPARATE_COMPILATION)
endif()

# Further arguments: what the program links.
function(tidepool_precompiled program)
  if(TIDEPOOL_PRECOMPILE_PROGRAMS AND "${ARGN}" MATCHES "_compiled")
    target_precompile_headers(${program} REUSE_FROM tidepool_compiled_precompiled)
  elseif(TIDEPOOL_PRECOMPILE_PROGRAMS)
    target_precompile_headers(${program} REUSE_FROM tidepool_precompiled)
  endif()
endfunction()
