# SPDX-License-Identifier: BSL-1.0
# tidepool - perl check_reference.pl PROJECT_FOLDER: the pages that users read know what the headers have.
#
# Each field of `pool_config` and of the drivers' `options`, each value of every `errc`, of `failure_kind`, `close_reason` and `lease_end`, each
# event, each member of `pool_stats` and each optional member of a connection is named in a table of its page; the defaults of the first
# two are those of the headers. README.md shows every member function of pool and lease, and has 250 lines at most. Links between pages
# lead somewhere.
use strict;
use warnings;

my $root = shift or die "usage: check_reference.pl PROJECT_FOLDER\n";
my (@wrong, $looked);

sub text_of {
  my ($name) = @_;
  open(my $in, '<', "$root/$name") or die "$name: $!\n";
  local $/;
  return scalar <$in>;
}

# --- headers ------------------------------------------------------------------------------------------------------------------------
sub headers_of {
  my ($folder) = @_;
  return map { substr($_, length("$root/")) } glob "$root/$folder/*.hpp";
}
# What stands between the braces of a type, without comments; in whichever header of a folder it is.
sub body_of {
  my ($folder, $head) = @_;
  my @found = map { text_of($_) =~ /^$head\b[^;{]*(\{(?:[^{}]|(?1))*\})/m ? substr($1, 1, -1) : () } headers_of($folder);
  die "$folder: " . scalar(@found) . " times $head\n" unless @found == 1;
  $found[0] =~ s{//.*}{}g;
  return $found[0];
}
# The names of an enumeration's values.
sub values_of { return grep { !/_$/ } body_of(@_) =~ /\b([a-z]\w*)\s*(?:=\s*\d+\s*)?(?:,|$)/gm; }
# The public data members of a class with their initializers: what has no parentheses before that.
sub members_of {
  my $body = body_of(@_);
  $body =~ s/^ *(?:private|protected):.*//ms;
  $body =~ s/\)[^;{]*\K(\{(?:[^{}]|(?1))*\})/;/g;  # bodies of functions
  my %members;
  for my $statement (split(/;/, $body)) {
    $statement =~ s/^\s*public://;
    my ($what, $value) = $statement =~ /^(.*?)(?:=(.*)|(\{.*))?$/s;
    $value = '{}' unless defined $value;
    $what =~ s/<.*>/ /s;
    next if $what =~ /\(|^\s*(?:using|static|friend)\b/ || $what !~ /[\w>\]]\s+(\w+)\s*$/;
    $members{$1} = $value;
  }
  return %members;
}
sub fields_of { my %members = members_of(@_); return sort keys %members; }
# An initializer as tables say it; undefined for what they may say in their own words.
sub in_words {
  my ($value) = @_;
  $value =~ s/^\s+|\s+$//g;
  return undef if $value eq '' || $value eq '{}';
  return "$1 s" if $value =~ /^std::chrono::seconds\((\d+)\)$/;
  return "$1 ms" if $value =~ /^std::chrono::milliseconds\((\d+)\)$/;
  return 'on' if $value eq 'true';
  return 'off' if $value eq 'false';
  return '1 MiB' if $value =~ /^std::size_t\{1\} << 20U?$/;
  return $1 if $value =~ /^\w+::(\w+)$/;
  return $value;
}

# --- tables -------------------------------------------------------------------------------------------------------------------------
# The rows of all tables below a heading, to the next one of its level.
sub rows_of {
  my ($page, $heading) = @_;
  text_of($page) =~ /^(#+) \Q$heading\E\n(.*?)(?=^\g1 |\z)/ms or die "$page: no chapter \"$heading\"\n";
  return grep { /^ *\|/ } split(/\n/, $2);
}
sub expect {
  my ($page, $heading, $what, @names) = @_;
  push @wrong, "$what: only " . scalar(@names) . " found in the header" if @names < 5;
  my %named;
  for my $row (rows_of($page, $heading)) { $named{$_} = 1 for map { /(\w+)/g } $row =~ /`([^`]*)`/g; }
  for my $name (@names) {
    ++$looked;
    push @wrong, "$page, \"$heading\": nothing of $what $name" unless $named{$name};
  }
}
sub expect_defaults {
  my ($page, $heading, $what, %members) = @_;
  expect($page, $heading, $what, sort keys %members);
  for my $row (rows_of($page, $heading)) {
    my (undef, $names, $defaults) = split(/\s*\|\s*/, $row);
    my @names = $names =~ /`(\w+)`/g;
    my @defaults = split(m{ / }, $defaults);
    next if !@names || @names != @defaults || grep { !exists $members{$_} } @names;
    for my $i (0 .. $#names) {
      my $said = $defaults[$i];
      $said =~ s/`//g;
      $said = {true => 'on', false => 'off'}->{$said} || $said;
      my $meant = in_words($members{$names[$i]});
      ++$looked;
      push @wrong, "$page, \"$heading\": $names[$i] is $meant by default" if defined $meant && $said ne $meant;
    }
  }
}

my $include = 'include/tidepool';
my $driver = "$include/postgres";
expect_defaults("$include/README.md", 'Options', 'pool_config', members_of($include, 'struct pool_config'));
expect("$include/README.md", 'Errors', 'errc', values_of($include, 'enum class errc'));
expect("$include/README.md", 'What the pool does by itself', 'failure_kind', values_of($include, 'enum class failure_kind'));
expect("$include/README.md", 'Figures', 'pool_stats', grep { $_ ne 'closed_by_reason' } fields_of($include, 'struct pool_stats'));
my @events = map { text_of($_) =~ /^struct (\w+_event)\b/gm } headers_of($include);
expect("$include/README.md", 'Events', 'events', @events);
# Whoever is to take them all goes by this list: the log, and the tests that each has a line.
my ($listed) = text_of("$include/policy/observer.hpp") =~ /^using pool_events = event_list<([^>]*)>;/m;
push @wrong, "policy/observer.hpp: pool_events is without $_"
  for grep { $listed !~ /\b$_\b/ } text_of("$include/events.hpp") =~ /^struct (\w+_event)\b/gm;
expect("$include/README.md", 'Events', 'close_reason', values_of($include, 'enum class close_reason'));
expect("$include/README.md", 'A connection type of your own', 'lease_end', values_of($include, 'enum class lease_end'));
my %may_have = map { s/^ping_query$/ping/r =~ s/^abort_with_reason$/abort/r => 1 } text_of("$include/connection.hpp") =~ /^concept has_(\w+) /gm;
expect("$include/README.md", 'A connection type of your own', 'connection', grep { $_ ne 'co_await' } sort keys %may_have);
expect_defaults("$driver/README.md", 'Options', 'options', members_of($driver, 'class options'));
expect("$driver/README.md", 'Errors', 'postgres::errc', values_of($driver, 'enum class errc'));
my $sqlite = "$include/sqlite";
expect("$sqlite/README.md", 'Opening', 'sqlite::options', fields_of($sqlite, 'class options'));
expect("$sqlite/README.md", 'Errors', 'sqlite::errc', values_of($sqlite, 'enum class errc'));

# --- all members on one screen ------------------------------------------------------------------------------------------------------
text_of('README.md') =~ /^## All members on one screen\n\n```cpp\n(.*?)^```/ms or die "README.md: no chapter of all members\n";
my $screen = $1;
for my $header ("$include/basic_pool.hpp", "$include/lease.hpp") {
  my ($public) = text_of($header) =~ /^ public:\n(.*?)^ private:/ms or die "$header: no public part\n";
  my @names = grep { !/^(bool|basic_pool)$/ } $public =~ /^  (?:\w[\w:<>&]* )+(\w+)\(/gm;
  push @wrong, "$header: only " . scalar(@names) . " members found" if @names < 5;
  for my $name (@names) {
    ++$looked;
    push @wrong, "README.md: not all members: $name() of $header" unless $screen =~ /\b$name\b/;
  }
}

# --- links --------------------------------------------------------------------------------------------------------------------------
my %anchors;
sub anchors_of {
  my ($page) = @_;
  return $anchors{$page} ||= {
    map { my $anchor = lc; $anchor =~ s/[^\w -]//g; $anchor =~ s/ /-/g; ($anchor => 1) } text_of($page) =~ /^#+ (.*)$/gm
  };
}
for my $page ('README.md', "$include/README.md", "$driver/README.md", "$sqlite/README.md", "$include/testing/README.md", 'examples/README.md',
              'benchmarks/README.md', 'tests/README.md', grep { -e "$root/$_" } map { ".github/$_.md" } qw(CONTRIBUTING CHANGELOG SECURITY)) {
  my $text = text_of($page);
  $text =~ s/^ *```.*?^ *```//gms;
  (my $folder = $page) =~ s{[^/]*$}{};
  while ($text =~ /\]\(([^)\s]+)\)/g) {
    my ($file, $anchor) = split(/#/, $1, 2);
    next if $file =~ /^\w+:/;
    ++$looked;
    my $target = $file eq '' ? $page : "$folder$file";
    1 while $target =~ s{[^/]+/\.\./}{};
    next if $target =~ /^\.github/ && !-e "$root/.github";  # a copy of the sources alone
    if (!-e "$root/$target") {
      push @wrong, "$page: there is no $target";
    } elsif (defined $anchor && !anchors_of($target)->{$anchor}) {
      push @wrong, "$page: $target has no chapter #$anchor";
    }
  }
}
my $lines = () = text_of('README.md') =~ /\n/g;
push @wrong, "README.md has $lines lines" if $lines > 250;

print "$_\n" for @wrong;
exit 1 if @wrong;
print "$looked names, defaults and links\n";
