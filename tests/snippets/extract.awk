# SPDX-License-Identifier: BSL-1.0
# tidepool - cuts every ```cpp fence out of Markdown files (awk -v out=DIR -v root=FOLDER -f extract.awk FILE ...) and makes it compile.
#
# A snippet with a main or an #include is a file as it stands. All others go into one file, each in a namespace of its own after the
# preamble: one that starts with a declaration as it is, anything else as the body of a coroutine that gets what the preamble's
# SNIPPET_PARAMETERS name. The namespace says which page and line a snippet is from. Prints the files it wrote.

# "include/tidepool/postgres/README.md": include_tidepool_postgres_README
function page(    name) {
  name = FILENAME
  if (index(name, root "/") == 1) name = substr(name, length(root) + 2)
  sub(/\.md$/, "", name)
  gsub(/[^A-Za-z0-9]/, "_", name)
  return name
}

function flush_snippet(    file, place) {
  ++count
  ++of_page[FILENAME]
  place = page() "_line_" first
  file = whole ? sprintf("%s/%s.cpp", out, place) : out "/snippets.cpp"
  if (!(file in written)) {
    written[file] = 1
    print file
    if (!whole) printf "#include \"preamble.hpp\"\n" > file
  }
  if (!whole) printf "namespace %s {\n", place > file
  if (statements) printf "asio::awaitable<void> snippet(SNIPPET_PARAMETERS) {\n" > file
  # The number is that of the page; its name as well would make GCC take the snippet for a header, and warn of lambdas in it.
  printf "#line %d\n%s", first, text > file
  if (statements) printf "co_return;\n}\n" > file
  if (!whole) printf "}\n" > file
}

FNR == 1 {
  if (inside) { print "a fence is not closed before " FILENAME > "/dev/stderr"; exit failed = 1 }
  pages[FILENAME] = 1
}
/^ *```cpp *$/ { inside = 1; first = FNR + 1; text = ""; whole = 0; statements = 0; decided = 0; next }
/^ *```/ && inside { inside = 0; flush_snippet(); next }
inside {
  text = text $0 "\n"
  if ($0 ~ /^#include/ || $0 ~ /^int main\(/) { whole = 1; statements = 0; decided = 1 }
  if (!decided && $0 !~ /^ *(\/\/.*)?$/ && $0 !~ /^(using|namespace [a-z]+ =) /) {
    decided = 1
    # A type, a template, a namespace, or the head of a function.
    declaration = $0 ~ /^(struct|class|enum|union|template|namespace|concept|static|inline|constexpr) /
    head = $0 ~ /^[A-Za-z_:][A-Za-z0-9_:<>,&* ]* [A-Za-z_][A-Za-z0-9_]*\(.*\)[ a-z]*\{/ && $0 !~ /^(if|for|while|switch|co_await|co_return|return|auto .*=)/
    statements = !(declaration || head)
  }
}
END {
  if (failed) exit 1
  for (name in pages) {
    if (!(name in of_page)) { print name ": no snippet of C++; was its fence renamed?" > "/dev/stderr"; exit 1 }
  }
  if (count < 20) { print "only " count " snippets of C++: were the fences renamed?" > "/dev/stderr"; exit 1 }
}
