// SPDX-License-Identifier: BSL-1.0
// tidepool - the server's built-in types: names for errors, element types of arrays.
#ifndef TIDEPOOL_POSTGRES_DETAIL_TYPES_HPP
#define TIDEPOOL_POSTGRES_DETAIL_TYPES_HPP

#include <libpq-fe.h>

#include <string>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

struct type_entry {
  Oid oid;
  Oid array;
  const char* name;
};
// OIDs are fixed by the server's catalogue (pg_type.dat): type, its array type, name.
// clang-format off
inline constexpr type_entry builtin_types[] = {
    {16, 1000, "bool"}, {17, 1001, "bytea"}, {18, 1002, "\"char\""}, {19, 1003, "name"}, {20, 1016, "int8"}, {21, 1005, "int2"},
    {22, 1006, "int2vector"}, {23, 1007, "int4"}, {24, 1008, "regproc"}, {25, 1009, "text"}, {26, 1028, "oid"}, {27, 1010, "tid"},
    {28, 1011, "xid"}, {29, 1012, "cid"}, {30, 1013, "oidvector"}, {114, 199, "json"}, {142, 143, "xml"}, {600, 1017, "point"},
    {601, 1018, "lseg"}, {602, 1019, "path"}, {603, 1020, "box"}, {604, 1027, "polygon"}, {628, 629, "line"}, {650, 651, "cidr"},
    {700, 1021, "float4"}, {701, 1022, "float8"}, {718, 719, "circle"}, {774, 775, "macaddr8"}, {790, 791, "money"},
    {829, 1040, "macaddr"}, {869, 1041, "inet"}, {1033, 1034, "aclitem"}, {1042, 1014, "bpchar"}, {1043, 1015, "varchar"},
    {1082, 1182, "date"}, {1083, 1183, "time"}, {1114, 1115, "timestamp"}, {1184, 1185, "timestamptz"}, {1186, 1187, "interval"},
    {1266, 1270, "timetz"}, {1560, 1561, "bit"}, {1562, 1563, "varbit"}, {1700, 1231, "numeric"}, {1790, 2201, "refcursor"},
    {2202, 2207, "regprocedure"}, {2203, 2208, "regoper"}, {2204, 2209, "regoperator"}, {2205, 2210, "regclass"},
    {2206, 2211, "regtype"}, {2249, 2287, "record"}, {2275, 1263, "cstring"}, {2950, 2951, "uuid"}, {3220, 3221, "pg_lsn"},
    {3614, 3643, "tsvector"}, {3615, 3645, "tsquery"}, {3734, 3735, "regconfig"}, {3769, 3770, "regdictionary"}, {3802, 3807, "jsonb"},
    {3904, 3905, "int4range"}, {3906, 3907, "numrange"}, {3908, 3909, "tsrange"}, {3910, 3911, "tstzrange"}, {3912, 3913, "daterange"},
    {3926, 3927, "int8range"}, {4072, 4073, "jsonpath"}, {4089, 4090, "regnamespace"}, {4096, 4097, "regrole"},
    {4451, 6150, "int4multirange"}, {4532, 6151, "nummultirange"}, {4533, 6152, "tsmultirange"}, {4534, 6153, "tstzmultirange"},
    {4535, 6155, "datemultirange"}, {4536, 6157, "int8multirange"}, {5069, 271, "xid8"}};
// clang-format on

namespace type_oid {
inline constexpr Oid bytea = 17, single_char = 18, int2vector = 22, oidvector = 30, json = 114, box = 603, box_array = 1020, jsonb = 3802;
/// Types from here on were made by users and extensions: their OIDs differ between databases.
inline constexpr Oid first_of_users = 16384;
}  // namespace type_oid

/// "int4", "box[]", "type 16500".
template <class = void>
inline std::string type_name(Oid type) {
  for (const type_entry& entry : builtin_types) {
    if (entry.oid == type) return entry.name;
    if (entry.array == type) return std::string(entry.name) + "[]";
  }
  return "type " + std::to_string(type);
}
/// 0: not the array type of a built-in type.
template <class = void>
inline Oid element_type(Oid array) noexcept {
  for (const type_entry& entry : builtin_types) {
    if (entry.array == array) return entry.oid;
  }
  return 0;
}
/// bit and varbit.
template <class = void>
inline bool is_bits(Oid type) noexcept {
  return type == 1560 || type == 1562;
}
/// Types whose text begins with a brace, as that of an array, and that are no arrays: json, multiranges.
template <class = void>
inline bool braces_without_array(Oid type) noexcept {
  return type == type_oid::json || type == type_oid::jsonb || type == 4451 || (type >= 4532 && type <= 4536);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
