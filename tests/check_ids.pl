# SPDX-License-Identifier: BSL-1.0
# tidepool - perl check_ids.pl TESTS_FOLDER: what README.md says of ids is true.
#
# Rows of the conformance list and bugs of other pools: each id of the first column is a tag of a test, or the row says that it does
# not apply or cannot be expressed, or (bugs only) it names an invariant or a row of the list that does have such a test. Files that a
# row names exist. Every such tag is explained in README.md. The same goes for findings of the field: [field-F1].
use strict;
use warnings;

my $root = shift or die "usage: check_ids.pl TESTS_FOLDER\n";
my (%named, @wrong);
for my $file (glob "$root/*/*.cpp") {
  open(my $in, '<', $file) or die "$file: $!\n";
  my $text = do { local $/; <$in> };
  # The tags are the second argument; a macro may stand between a name and its tags.
  while ($text =~ /((?:"(?:[^"\\]|\\.)*"\s*)+)\)/g) {
    my $tags = $1;
    $named{$1} = $file while $tags =~ /\[((?:INV-|[A-Z])\d+|field-\w+)\]/g;
  }
}
die "no tests below $root\n" unless %named;

open(my $readme, '<', "$root/README.md") or die "README.md: $!\n";
my ($section, %explained, $rows) = ('');
while (my $line = <$readme>) {
  if ($line =~ /^## (.*)/) { $section = $1; next; }
  next unless $line =~ /^\| *((?:field-\w|(?:INV-|[A-Z])\w*\d+).*?) *\| *(.*?) *\|(?: *(.*?) *\|)? *$/;
  my ($first, $tests) = ($1, defined $3 ? $3 : $2);
  ++$rows;
  for my $where ($tests =~ m{\b((?:unit|core|pool|simulator|threads|postgres|faults|fleet)/\w+)}g) {
    push @wrong, "$first: there is no $where" unless -e "$root/$where.cpp" || -e "$root/$where.hpp";
  }
  my $excused = $tests =~ /does not apply|not expressible|told in the reference|at compile time|support\/|consumers\//;
  # Several findings in one row were one fault.
  $excused ||= $first =~ /field-/ && grep { $named{$_} } $first =~ /(field-\w+)/g;
  my $by_other = grep { $named{$_} } $tests =~ /\b(INV-\d+|[A-Z]\d{1,2})\b/g;
  for my $id ($first =~ /\b(INV-\d+|field-\w+|(?<!-)[A-Z]\d+)\b/g) {
    $explained{$id} = 1;
    next if $section =~ /^Invariants/ || $named{$id} || $excused || ($id =~ /^B/ && $by_other);
    push @wrong, "$id: no test has it as a tag";
  }
}
for my $id (sort keys %named) { push @wrong, "$id: a tag in $named{$id}, but not in README.md" unless $explained{$id}; }
print "$_\n" for @wrong;
exit 1 if @wrong || $rows < 100;
printf "%d rows, %d ids as tags of tests\n", $rows, scalar keys %named;
