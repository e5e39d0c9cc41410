#!/usr/bin/env perl
# SPDX-License-Identifier: BSL-1.0
# tidepool - compiles each header by itself, included twice.
#
#   alone.pl --work FOLDER [--jobs N] [--without REGEX] ... [--precompile] INCLUDE_FOLDER COMPILER [OPTION ...]
#
# --precompile (Clang): those that give the others most are precompiled, and a header is compiled upon the largest of them that it includes.
# That hides nothing from it, and takes half the time. Clang 14 crashes now and then on one precompiled header upon another: what fails is
# compiled again upon nothing, and that decides.
use strict;
use warnings;
use File::Find qw(find);
use File::Path qw(make_path);
use File::Spec;

my ($work, $jobs, $precompile, @without) = (undef, 1, 0);
while (@ARGV and $ARGV[0] =~ /^--/) {
  my $option = shift @ARGV;
  if ($option eq '--precompile') { $precompile = 1; next }
  my $value = shift @ARGV;
  if ($option eq '--work') { $work = $value }
  elsif ($option eq '--jobs') { $jobs = $value }
  elsif ($option eq '--without') { push @without, $value }
  else { die "alone.pl: there is no option $option\n" }
}
my ($root, @compile) = @ARGV;
die "alone.pl: needs --work FOLDER INCLUDE_FOLDER COMPILER\n" unless defined $work and @compile;
push @compile, "-I$root";
make_path($work);

# --- which header includes which -------------------------------------------------------------------------------------------
my (%includes, %foreign);
find({no_chdir => 1, wanted => sub {
  my $header = File::Spec->abs2rel($_, $root);
  return unless /\.[hi]pp$/ and $header !~ m{/src\.hpp$};
  my ($volume, $folder) = File::Spec->splitpath($header);
  open my $in, '<', $_ or die "alone.pl: $_: $!\n";
  while (my $line = <$in>) {
    $foreign{$header}{$1} = 1 if $line =~ /^#include (<[^>]+>)/;
    next unless $line =~ /^#include "([^"]+)"/;
    my $path = "$folder$1";
    1 while $path =~ s{[^/]+/\.\./}{};
    push @{$includes{$header}}, $path;
  }
  $includes{$header} //= [];
}}, "$root/tidepool");

my %all_of; # with those that they include
sub all_of {
  my $header = shift;
  return $all_of{$header} if $all_of{$header};
  my $all = $all_of{$header} = {};
  for my $included (grep { $includes{$_} } @{$includes{$header}}) {
    $all->{$_} = 1 for $included, keys %{all_of($included)};
  }
  return $all;
}
all_of($_) for sort keys %includes;

my @wanted = sort keys %includes;
for my $pattern (@without) { @wanted = grep { !/$pattern/ } @wanted }
die "alone.pl: no header is left\n" unless @wanted;

# How much of the compiler's work a header brings, in standard headers: Asio is some thirty of them.
sub weight {
  my $header = shift;
  my @all = ($header, keys %{$all_of{$header}});
  my %foreign_ones = map { %{$foreign{$_} // {}} } @all;
  return @all / 4 + keys(%foreign_ones) + 30 * grep { m{/util/asio\.hpp$} } @all;
}
my (%base, %is_base);
if ($precompile) {
  my %weight = map { $_ => weight($_) } keys %includes;
  my $is_upon = sub { my ($header, $other) = @_; return $all_of{$header}{$other} && !$all_of{$other}{$header} };
  for (;;) { # the one that saves most, as long as it saves more than to write it costs
    my ($best, $most) = (undef, 20);
    for my $candidate (grep { /\.hpp$/ and !$is_base{$_} } sort keys %includes) {
      my $saved = 0;
      for my $header (grep { $is_upon->($_, $candidate) } @wanted) {
        my $more = $weight{$candidate} - ($base{$header} ? $weight{$base{$header}} : 0);
        $saved += $more if $more > 0;
      }
      ($best, $most) = ($candidate, $saved) if $saved > $most;
    }
    last unless defined $best;
    $is_base{$best} = 1;
    for my $header (grep { $is_upon->($_, $best) } @wanted, keys %is_base) {
      $base{$header} = $best if !$base{$header} or $weight{$best} > $weight{$base{$header}};
    }
    # A base that was chosen before may be upon another now, and this one upon those.
    for my $other (grep { $is_upon->($best, $_) } keys %is_base) {
      $base{$best} = $other if !$base{$best} or $weight{$other} > $weight{$base{$best}};
    }
  }
}
my %todo = map { $_ => 1 } @wanted, keys %is_base;

# --- compile -----------------------------------------------------------------------------------------------------------------
sub file_of {
  my ($header, $suffix) = @_;
  $header =~ s/\W/_/g;
  return "$work/$header$suffix";
}
my (%done, %running, @failed);
sub start {
  my ($header, $base) = @_;
  my @command = @compile;
  push @command, '-include-pch', file_of($base, '.pch') if $base;
  push @command, $is_base{$header} ? ('-x', 'c++-header', '-o', file_of($header, '.pch'))
    : $precompile ? ('-x', 'c++', '-fsyntax-only') : ('-x', 'c++', '-c', '-o', '/dev/null');
  push @command, file_of($header, '.once.hpp');
  open my $out, '>', file_of($header, '.once.hpp') or die "alone.pl: $work: $!\n";
  print {$out} "#include <$header>\n#include <$header>\n";
  close $out;
  defined(my $pid = fork) or die "alone.pl: fork: $!\n";
  if ($pid == 0) {
    open STDOUT, '>', file_of($header, '.log');
    open STDERR, '>&', \*STDOUT;
    exec @command or exit 127;
  }
  $running{$pid} = [$header, $base];
}
my @waiting = sort { keys %{$all_of{$a}} <=> keys %{$all_of{$b}} or $a cmp $b } keys %todo;
my $again = 0;
while (@waiting or %running) {
  for (my $i = 0; $i < @waiting and keys %running < $jobs;) {
    my $base = $base{$waiting[$i]};
    if ($base and !defined $done{$base}) { ++$i; next }
    start(splice(@waiting, $i, 1), $base && $done{$base} ? $base : undef);
  }
  my $pid = wait;
  my ($header, $base) = @{delete $running{$pid}};
  if ($? == 0) {
    $done{$header} = 1;
  } elsif ($base) {
    ++$again;
    start($header, undef);
  } else {
    $done{$header} = 0;
    push @failed, $header;
    open my $log, '<', file_of($header, '.log');
    print "$header does not compile alone:\n", <$log>;
  }
}
printf "%d headers compiled, each by itself, %d of them to be the base of others%s; %d failed\n", scalar keys %todo, scalar keys %is_base, $again ? ", $again of them again upon nothing" : '', scalar @failed;
exit(@failed ? 1 : 0);
