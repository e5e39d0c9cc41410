// SPDX-License-Identifier: BSL-1.0
// tidepool - values of every built-in type of the server, as SQL, ordinary ones and those at the edges.
#ifndef TIDEPOOL_TESTS_POSTGRES_TYPE_CORPUS_HPP
#define TIDEPOOL_TESTS_POSTGRES_TYPE_CORPUS_HPP

#include <string>
#include <utility>
#include <vector>

namespace tidepool_tests {

struct corpus_type {
  std::string name;
  std::vector<std::string> values;  // expressions of that type; a leading '!' marks what no calendar or zero byte of C++ holds
  char delimiter = ',';             // of its arrays; 0: it has none
  bool user = false;                // made by the test
};

/// Literals, in quotes no value holds.
inline std::vector<std::string> literals(const std::string& type, std::vector<std::string> texts) {
  for (auto& text : texts) {
    const bool beyond = text.size() > 1 && text[0] == '!';
    text = (beyond ? "!$lit$" : "$lit$") + text.substr(beyond ? 1 : 0) + "$lit$::" + type;
  }
  return texts;
}

inline corpus_type of(const std::string& type, std::vector<std::string> texts, char delimiter = ',') {
  return {type, literals(type, std::move(texts)), delimiter};
}
inline corpus_type made(const std::string& type, std::vector<std::string> texts, char delimiter = ',') {
  return {type, literals(type, std::move(texts)), delimiter, true};
}

inline constexpr const char* corpus_types_sql = R"(
create type pg_temp.tide as enum ('low', 'with space', 'qu''ote"', 'comma,', 'back\slash', 'NULL', '{}');
create domain pg_temp.small as int4 check (value < 100);
create domain pg_temp.words as text;
create type pg_temp.pair as (number int4, words text, many int4[]);
create type pg_temp.nested as (inside pg_temp.pair, at timestamptz, raw bytea);
create table pg_temp."Odd ""name, {}" (x int);
-- Whether the server reads back what it prints itself, under these settings: rounded floats and abbreviated time zones are not its own.
create function pg_temp.readable(v anyelement) returns bool language plpgsql as $f$
declare same bool;
begin
  if v is null then return true; end if;
  execute format('select record_image_eq(row(%L::%s), row($1))', format('%s', v), pg_typeof(v)) into same using v;
  return same;
exception when others then return false;
end $f$;
)";

inline std::vector<corpus_type> type_corpus() {
  const std::vector<std::string> texts{"",      " ",      "NULL",   "null", "a,b",        "a;b",    "{}",       "{",
                                       "}",     "\"",     "\\",     "\\\\", "\\.",        "\\N",    "\\x41",    "'",
                                       "''",    "$1",     "%s",     "\t",   "line\nfeed", "\r\n",   " padded ", "(1,1),(0,0)",
                                       "[1,3)", "a\\\tb", "\b\f\v", "--",   "/* */",      "E'\\n'", "\x7f"};
  std::vector<corpus_type> all{
      of("bool", {"t", "f"}),
      of("int2", {"-32768", "-1", "0", "32767"}),
      of("int4", {"-2147483648", "0", "2147483647"}),
      of("int8", {"-9223372036854775808", "0", "9007199254740993", "9223372036854775807"}),
      of("oid", {"0", "2147483648", "4294967295"}),
      of("xid", {"0", "4294967295"}),
      of("xid8", {"0", "18446744073709551615"}),
      of("cid", {"0", "4294967295"}),
      of("tid", {"(0,1)", "(4294967295,65535)"}),
      of("float4",
         {"NaN", "Infinity", "-Infinity", "3.4028235e38", "-3.4028235e38", "1e-45", "1.17549435e-38", "0.1", "0", "-0", "16777217"}),
      of("float8", {"NaN", "Infinity", "-Infinity", "1.7976931348623157e308", "5e-324", "2.2250738585072014e-308", "0.1",
                    "0.30000000000000004", "0", "-0", "9007199254740993", "1e23", "123456.789"}),
      of("numeric", {"NaN", "Infinity", "-Infinity", "0", "0.0", "0.000", "-1.10", "1e1000", "1e-1000", "9223372036854775808",
                     "123456789012345678901234567890.123456789"}),
      of("money", {"0", "-92233720368547758.08", "92233720368547758.07", "1234.56", "-0.01"}),
      of("text", texts),
      of("varchar(20)", {"", "NULL", "a,\"b\"\\", " "}),
      of("bpchar", {"ab  ", "", "\\", "NULL "}),
      of("name", {"x", "\"quoted\"", "a,b\\"}),
      of("\"char\"", {"a", "\\", "\"", ",", " ", "{", "!"}),
      {"\"char\"", {"!''::\"char\""}, ','},
      {"bytea",
       {"''::bytea", "decode('00', 'hex')",
        "(select string_agg(decode(lpad(to_hex(n), 2, '0'), 'hex'), '' order by n) from generate_series(0, 255) n)",
        "'\\\\\\\\,{}\"'::bytea", "decode('5c7831', 'hex')", "decode(repeat('00ff', 5000), 'hex')"},
       ','},
      of("uuid", {"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"}),
      of("json", {"{}", "[]", "null", " { \"a\" : [1, \"x,y\\n\\\\\"] } ", "\"\\u0000\"", "1e400", "{\"a\":1,\"a\":2}"}),
      of("jsonb", {"{}", "[]", "null", "{\"b\": [1.0, \"x,y\\n\\\\\"], \"a\": \"\"}", "\"\\\"\"", "1e400"}),
      of("jsonpath", {"$", "$.\"a b\"[*] ? (@ > 1 && @ starts with \"x\\\\\")", "lax $.a"}),
      of("xml", {"<a b=\"c,d\">&lt;\\ </a>", "text", "<?xml version=\"1.0\"?><a/>"}),
      of("inet", {"192.168.0.1/24", "0.0.0.0/0", "::1", "::ffff:1.2.3.4/96", "2001:db8::ff00:42:8329", "10.1.2.3"}),
      of("cidr", {"192.168.0.0/24", "::/0", "2001:db8::/32"}),
      of("macaddr", {"08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"}),
      of("macaddr8", {"08:00:2b:01:02:03:04:05"}),
      of("bit(3)", {"101", "000"}),
      of("varbit", {"", "1", "0101010101010101010101"}),
      of("date", {"4714-11-24 BC", "0001-12-31 BC", "0001-01-01", "1999-12-31", "2000-02-29", "2024-01-02", "32767-12-31", "!32768-01-01",
                  "!5874897-12-31", "!infinity", "!-infinity"}),
      of("time", {"00:00:00", "23:59:59.999999", "24:00:00", "23:59:60", "04:05:06.7"}),
      of("timetz", {"00:00:00+15:59:59", "24:00:00-15:59:59", "12:00:00.5+05:30", "23:59:60+00"}),
      of("timestamp", {"4714-11-24 00:00:00 BC", "0001-01-01 00:00:00", "1969-12-31 23:59:59.999999", "2016-12-31 23:59:60",
                       "2024-02-29 12:34:56.000001", "32767-12-31 23:59:59", "!294276-12-31 23:59:59.999999", "infinity", "-infinity"}),
      of("timestamptz", {"4714-11-24 12:00:00+00 BC", "0044-03-15 12:00:00+00 BC", "1883-11-18 12:03:57-04:56:02", "1900-01-01 00:00:00+00",
                         "1970-01-01 00:00:00+00", "2016-12-31 23:59:60+00", "2024-03-10 07:00:00+00", "2024-11-03 05:30:00+00",
                         "2024-11-03 06:30:00.000001+00", "!294276-12-30 23:59:59.999999+00", "infinity", "-infinity"}),
      of("interval",
         {"0", "1 year 2 mons -3 days 04:05:06.789", "-1 mons +2 days -03:04:05.678", "178000000 years", "-178000000 years",
          "00:00:00.000001", "-00:00:00.000001", "1 day", "-1 day +01:00:00", "1 mon", "-1 years -2 mons", "2562047788:00:54.775807"}),
      of("point", {"(0,0)", "(-1.5,1e300)", "(NaN,Infinity)", "(0.1,-0)"}),
      of("lseg", {"[(0,0),(1,1)]"}),
      of("line", {"{1,-1,0}"}),
      of("box", {"(1,1),(0,0)", "(2,2),(1.5,-1)", "(Infinity,1),(0,0)"}, ';'),
      of("path", {"((0,0),(1,1))", "[(0,0),(1,1),(2,0)]"}),
      of("polygon", {"((0,0),(1,1),(2,0))"}),
      of("circle", {"<(0,0),1>", "<(0.1,0.2),0.3>"}),
      of("tsvector", {"", "'a b':1A,2B 'c\\\\''d':3", "word:16383"}),
      of("tsquery", {"", "'a' & !'b' | ( 'c' <-> 'd' )", "'it''s \\\\':*AB"}),
      of("pg_lsn", {"0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"}),
      of("txid_snapshot", {"10:20:10,14,15", "1:1:"}),
      of("pg_snapshot", {"10:20:10,14,15"}),
      of("refcursor", {"", "a \"cursor\""}),
      of("regclass", {"pg_class", "pg_temp.\"Odd \"\"name, {}\""}),
      of("regtype", {"timestamp with time zone", "int4[]", "\"char\""}),
      of("regproc", {"pg_catalog.now", "-"}),
      of("regprocedure", {"pg_catalog.abs(numeric)", "substring(text,int4,int4)"}),
      of("regoper", {"|/"}),
      of("regoperator", {"+(int4,int4)", "-(NONE,int4)"}),
      of("regrole", {"pg_monitor"}),
      of("regnamespace", {"pg_catalog"}),
      of("regcollation", {"\"C\"", "\"POSIX\""}),
      of("regconfig", {"english"}),
      of("regdictionary", {"english_stem"}),
      {"aclitem", {"makeaclitem(10, 10, 'SELECT', true)"}, ','},
      of("int2vector", {"", "1 2 -3"}, 0),
      of("oidvector", {"", "1 4294967295"}, 0),
      of("int4range", {"empty", "[1,3)", "(,5)", "(,)"}),
      of("int8range", {"[-9223372036854775808,9223372036854775807)"}),
      of("numrange", {"[1.10,2.0]", "(0,Infinity]", "[NaN,NaN]"}),
      of("daterange", {"[2024-01-01,2024-02-01)", "[4714-11-24 BC,infinity)"}),
      of("tsrange", {"[2024-01-01 00:00:00,2024-01-01 00:00:00.000001)", "(,infinity)"}),
      of("tstzrange", {"[1883-11-18 12:03:57-04:56:02,2024-02-29 12:00:00+05:30]", "empty"}),
      of("int4multirange", {"{}", "{[1,3),[5,7)}", "{(,)}"}),
      of("tstzmultirange", {"{}", "{[2024-01-01 00:00:00+00,2024-01-02 00:00:00+00),[2025-01-01 00:00:00+00,)}"}),
      of("int4[]", {"{}", "{1,NULL,3}", "[0:1]={7,8}", "{{1,2},{3,4}}", "[-1:0][5:6]={{1,2},{3,4}}"}, 0),
      of("text[]", {"{}", R"({"",NULL,"NULL",null," a ","a,b","{}","\"","\\","a;b"})", "[5:5]={x}", R"({{a,"b c"},{"d\"",NULL}})"}, 0),
      of("box[]", {"{(1,1),(0,0);(2,2),(1,1)}", "{}", "[0:0]={(1,1),(0,0)}"}, 0),
      of("bytea[]", {R"({"\\x00ff","\\x",NULL})"}, 0),
      of("timestamptz[]", {R"({"2024-02-29 12:00:00+00",NULL,infinity})"}, 0),
      of("int4range[]", {"{\"[1,3)\",empty,\"(,)\"}"}, 0),
      made("pg_temp.tide", {"low", "with space", "qu'ote\"", "comma,", "back\\slash", "NULL", "{}"}),
      made("pg_temp.small", {"1", "-5"}),
      made("pg_temp.words", {"", "a,b", "\"\\", "NULL"}),
      {"pg_temp.pair",
       {"row(1, E'a,\"b\\\\\\n''()', '{1,NULL}')::pg_temp.pair", "row(null, '', '[0:0]={1}')::pg_temp.pair",
        "row(null, null, null)::pg_temp.pair"},
       ',',
       true},
      {"pg_temp.nested", {"row(row(1, ' ,)', '{}'), '2024-02-29 12:00:00+00', '\\x005c22')::pg_temp.nested"}, ',', true},
  };
  std::string ascii;
  for (char c = 1; c < 127; ++c) ascii += c;
  all.push_back({"text", {"$lit$" + ascii + "$lit$::text", "repeat('a\\\"', 20000)"}, ','});
  // Not every encoding has these.
  all.push_back(of("text", {"caf\xc3\xa9", "\xc3\xa4\xc3\xb6\xc3\xbc,\"\\"}));
  all.push_back(of("text", {"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "\xe8\xa1\xa8\\"}));
  all.push_back(of("text", {"\xf0\x9f\x8c\x8a", "e\xcc\x81", "\xe2\x80\xae\xd7\xa9", "\xc2\x85\xe2\x80\xa8\xef\xbb\xbf"}));
  all.push_back(of("jsonb", {"{\"\xc3\xa9\": \"\xf0\x9f\x8c\x8a\"}"}));
  return all;
}

}  // namespace tidepool_tests

#endif
