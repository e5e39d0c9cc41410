# SPDX-License-Identifier: BSL-1.0
# tidepool - applies one mutant: perl apply.pl mutants.txt NAME INCLUDE_DIR [check]. White space in the text does not matter. With "check"
# nothing is written.
use strict;
use warnings;

my ($list, $wanted, $include, $check) = @ARGV;
open(my $in, '<', $list) or die "$list: $!\n";
my ($name, $file, @old, @new) = ('', '');
while (my $line = <$in>) {
  if ($line =~ /^== (\S+)/) { $name = $1; next; }
  next unless $name eq $wanted;
  if    ($line =~ /^@ (\S+)/) { $file = $1; }
  elsif ($line =~ /^-(.*)/)   { push @old, $1; }
  elsif ($line =~ /^\+(.*)/)  { push @new, $1; }
}
die "no mutant called $wanted\n" unless $file && @old;

my $path = "$include/tidepool/$file";
open(my $source, '<', $path) or die "$path: $!\n";
my $text = do { local $/; <$source> };
close $source;

my $pattern = join '\s*', map { quotemeta } grep { length } split /\s+/, join(' ', @old);
my $count = () = $text =~ /$pattern/g;
die "$wanted: its text is in $file $count times instead of once\n" unless $count == 1;
exit 0 if $check;
my $replacement = join "\n", @new;
$text =~ s/$pattern/$replacement/;
open(my $out, '>', $path) or die "$path: $!\n";
print $out $text;
close $out or die "$path: $!\n";
