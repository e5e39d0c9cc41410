# SPDX-License-Identifier: BSL-1.0
# tidepool - what `cmake --install` copies, and the packages `cpack` makes of it.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/tidepool)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/tidepool DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp" PATTERN "*.ipp")
install(TARGETS tidepool EXPORT tidepool)
install(EXPORT tidepool NAMESPACE tidepool:: FILE tidepool-targets.cmake DESTINATION ${package_dir})
# What a driver needs is looked for where the package is used, not where it was made.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tidepool-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/tidepool-config.cmake ${CMAKE_CURRENT_LIST_DIR}/compiled.cmake ${CMAKE_CURRENT_LIST_DIR}/boost.cmake
              ${CMAKE_CURRENT_LIST_DIR}/mariadb.cmake
              ${PROJECT_BINARY_DIR}/tidepool-config-version.cmake
        DESTINATION ${package_dir})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/tidepool)

# --- pkg-config: found where the file is, so that the prefix may be moved ---------------------------------------------------
set(pkgconfig_dir ${CMAKE_INSTALL_DATADIR}/pkgconfig)
if(IS_ABSOLUTE ${CMAKE_INSTALL_DATADIR} OR IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
  set(pc_include ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
  file(RELATIVE_PATH up /${pkgconfig_dir} /)
  string(REGEX REPLACE "/$" "" up ${up})
  set(pc_prefix "\${pcfiledir}/${up}")
  set(pc_include "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
# tidepool_pkgconfig(NAME DESCRIPTION [LINES...])
function(tidepool_pkgconfig name description)
  list(JOIN ARGN "\n" lines)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/${name}.pc @ONLY CONTENT "prefix=${pc_prefix}
includedir=${pc_include}

Name: ${name}
Description: ${description}
Version: ${PROJECT_VERSION}
${lines}
")
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${pkgconfig_dir})
endfunction()
set(pc_libraries -pthread)
if(WIN32)
  set(pc_libraries "-pthread -lws2_32 -lmswsock")
endif()
# No `Requires: asio`: distributions have its headers without such a file.
tidepool_pkgconfig(tidepool "A coroutine connection pool on Asio (C++20, header-only)"
                   "Cflags: -I\${includedir} -pthread" "Libs: ${pc_libraries}")
tidepool_pkgconfig(tidepool-postgres "PostgreSQL connections for tidepool, on libpq (C++20, header-only)"
                   "Requires: tidepool = ${PROJECT_VERSION}, libpq")
tidepool_pkgconfig(tidepool-boost-asio "tidepool on Boost.Asio (1.78 and newer)" "Requires: tidepool = ${PROJECT_VERSION}"
                   "Cflags: -DTIDEPOOL_BOOST_ASIO")
tidepool_pkgconfig(tidepool-postgres-boost-asio "PostgreSQL connections for tidepool on Boost.Asio, on libpq"
                   "Requires: tidepool-boost-asio = ${PROJECT_VERSION}, libpq")
tidepool_pkgconfig(tidepool-mysql "MySQL and MariaDB connections for tidepool, on MariaDB's client library (C++20, header-only)"
                   "Requires: tidepool = ${PROJECT_VERSION}, libmariadb >= 3.3")
tidepool_pkgconfig(tidepool-mysql-boost-asio "MySQL and MariaDB connections for tidepool on Boost.Asio"
                   "Requires: tidepool-boost-asio = ${PROJECT_VERSION}, libmariadb >= 3.3")
tidepool_pkgconfig(tidepool-sqlite "SQLite connections for tidepool (C++20, header-only)"
                   "Requires: tidepool = ${PROJECT_VERSION}, sqlite3 >= 3.34")
tidepool_pkgconfig(tidepool-sqlite-boost-asio "SQLite connections for tidepool on Boost.Asio"
                   "Requires: tidepool-boost-asio = ${PROJECT_VERSION}, sqlite3 >= 3.34")

# --- cpack: a .tar.gz of the prefix, and a .deb for every architecture --------------------------------------------------------
if(PROJECT_IS_TOP_LEVEL)
  set(CPACK_GENERATOR DEB TGZ)
  set(CPACK_PACKAGE_CONTACT "The tidepool maintainers")
  set(CPACK_PACKAGE_FILE_NAME tidepool-${PROJECT_VERSION})
  set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
  set(CPACK_PACKAGE_CHECKSUM SHA256)
  set(CPACK_DEBIAN_PACKAGE_NAME libtidepool-dev)
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE all)
  set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
  set(CPACK_DEBIAN_PACKAGE_DEPENDS "libasio-dev (>= 1:1.22.1)")
  set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libpq-dev (>= 14), libmariadb-dev (>= 1:10.6), libsqlite3-dev (>= 3.34)")
  set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libboost1.81-dev | libboost-dev (>= 1.78)")
  include(CPack)
endif()
