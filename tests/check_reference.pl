# SPDX-License-Identifier: BSL-1.0
# tidepool - perl check_reference.pl PROJECT_FOLDER: the pages that users read know what the headers have.
#
# Each field of `pool_config` and `postgres::options`, each value of both `errc`, of `failure_kind`, `close_reason` and `lease_end`, each
# event and each member of `pool_stats` is named in a table of its page. Links between pages lead somewhere. README.md has 250 lines at most.
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
# What stands between the braces of a type, without comments; in whichever header of a folder it is.
sub body_of {
  my ($folder, $head) = @_;
  my @found = map { text_of($_) =~ /^$head\b[^;{]*(\{(?:[^{}]|(?1))*\})/m ? substr($1, 1, -1) : () } headers_of($folder);
  die "$folder: " . scalar(@found) . " times $head\n" unless @found == 1;
  $found[0] =~ s{//.*}{}g;
  return $found[0];
}
sub headers_of {
  my ($folder) = @_;
  return map { substr($_, length("$root/")) } glob "$root/$folder/*.hpp";
}
# Names of an enumeration's values.
sub values_of { return grep { !/_$/ } body_of(@_) =~ /\b([a-z]\w*)\s*(?:=\s*\d+\s*)?(?:,|$)/gm; }
# Names of the public data members: what has no parentheses before its initializer.
sub fields_of {
  my $body = body_of(@_);
  $body =~ s/^ *(?:private|protected):.*//ms;
  $body =~ s/(\{(?:[^{}]|(?1))*\})(\s*;)?/ = {};/g;  # bodies of functions too
  my @names;
  for my $statement (split(/;/, $body)) {
    $statement =~ s/^\s*public://;
    $statement =~ s/<[^=]*>/ /g;
    $statement =~ s/=.*//s;
    push @names, $1 if $statement !~ /\(|^\s*(?:using|static|friend)\b/ && $statement =~ /[\w>\]]\s+(\w+)\s*$/;
  }
  return @names;
}
# What the tables below a heading (to the next one of its level) have between backticks, and what of that is in a first column.
sub named_in {
  my ($page, $heading) = @_;
  text_of($page) =~ /^(#+) \Q$heading\E\n(.*?)(?=^\g1 |\z)/ms or die "$page: no chapter \"$heading\"\n";
  my %named;
  for my $row (grep { /^ *\|/ } split(/\n/, $2)) { $named{$_} = 1 for map { /(\w+)/g } $row =~ /`([^`]*)`/g; }
  return \%named;
}
sub expect {
  my ($page, $heading, $what, @names) = @_;
  push @wrong, "$what: only " . scalar(@names) . " found in the header" if @names < 5;
  my $named = named_in($page, $heading);
  for my $name (@names) {
    ++$looked;
    push @wrong, "$page, \"$heading\": nothing of $what $name" unless $named->{$name};
  }
}

my $include = 'include/tidepool';
expect("$include/README.md", 'Options', 'pool_config', fields_of($include, 'struct pool_config'));
expect("$include/README.md", 'Errors', 'errc', values_of($include, 'enum class errc'));
expect("$include/README.md", 'Figures', 'pool_stats', grep { $_ ne 'closed_by_reason' } fields_of($include, 'struct pool_stats'));
expect("$include/README.md", 'Events', 'events', map { text_of($_) =~ /^struct (\w+_event)\b/gm } headers_of($include));
expect("$include/README.md", 'Events', 'close_reason', values_of($include, 'enum class close_reason'));
expect("$include/README.md", 'What the pool does by itself', 'failure_kind', values_of($include, 'enum class failure_kind'));
expect("$include/README.md", 'A connection type of your own', 'lease_end', values_of($include, 'enum class lease_end'));
expect("$include/postgres/README.md", 'Options', 'options', fields_of("$include/postgres", 'class options'));
expect("$include/postgres/README.md", 'Errors', 'postgres::errc', values_of("$include/postgres", 'enum class errc'));

# --- links ------------------------------------------------------------------------------------------------------------------------
my %anchors;
sub anchors_of {
  my ($page) = @_;
  return $anchors{$page} ||= { map { my $a = lc; $a =~ s/[`*]//g; $a =~ s/[^\w -]//g; $a =~ s/ /-/g; ($a => 1) } text_of($page) =~ /^#+ (.*)$/gm };
}
for my $page ('README.md', "$include/README.md", "$include/postgres/README.md", "$include/testing/README.md", 'examples/README.md',
              'benchmarks/README.md', 'tests/README.md') {
  my $text = text_of($page);
  $text =~ s/^ *```.*?^ *```//gms;
  (my $folder = $page) =~ s{[^/]*$}{};
  while ($text =~ /\]\(([^)\s]+)\)/g) {
    my ($file, $anchor) = split(/#/, $1, 2);
    next if $file =~ /^\w+:/;
    ++$looked;
    my $target = $file eq '' ? $page : "$folder$file";
    1 while $target =~ s{[^/]+/\.\./}{};
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
print "$looked names and links\n";
