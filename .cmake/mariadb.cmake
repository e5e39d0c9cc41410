# SPDX-License-Identifier: BSL-1.0
# tidepool - the client library of MariaDB, which serves MySQL's servers too. Used by the project's own build and, installed, by that of its
# users.
set(TIDEPOOL_MARIADB_VERSION 3.3)

# tidepool_find_mariadb(): sets tidepool_mariadb_target, which is empty where the library is missing or too old. MySQL's own client library
# has a header of the same name, and calls that cannot be suspended.
function(tidepool_find_mariadb)
  set(target "")
  if(TARGET MariaDB::Connector)
    set(target MariaDB::Connector)
  elseif(TARGET unofficial::libmariadb)
    set(target unofficial::libmariadb)
  else()
    find_path(TIDEPOOL_MARIADB_INCLUDE_DIR mariadb_version.h PATH_SUFFIXES mariadb mysql
              DOC "Folder of mysql.h of MariaDB Connector/C ${TIDEPOOL_MARIADB_VERSION} or newer")
    find_library(TIDEPOOL_MARIADB_LIBRARY NAMES mariadb PATH_SUFFIXES mariadb DOC "MariaDB Connector/C")
    if(TIDEPOOL_MARIADB_INCLUDE_DIR AND TIDEPOOL_MARIADB_LIBRARY)
      file(STRINGS ${TIDEPOOL_MARIADB_INCLUDE_DIR}/mariadb_version.h version REGEX "define MARIADB_PACKAGE_VERSION ")
      string(REGEX MATCH "[0-9]+[.][0-9.]+" version "${version}")
      if(NOT version VERSION_LESS TIDEPOOL_MARIADB_VERSION)
        set(target tidepool_libmariadb)
        if(NOT TARGET tidepool_libmariadb)
          add_library(tidepool_libmariadb INTERFACE IMPORTED GLOBAL)
          target_include_directories(tidepool_libmariadb INTERFACE ${TIDEPOOL_MARIADB_INCLUDE_DIR})
          target_link_libraries(tidepool_libmariadb INTERFACE ${TIDEPOOL_MARIADB_LIBRARY})
        endif()
      endif()
    endif()
  endif()
  set(tidepool_mariadb_target "${target}" PARENT_SCOPE)
endfunction()
