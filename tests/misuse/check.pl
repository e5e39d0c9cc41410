# SPDX-License-Identifier: BSL-1.0
# tidepool - perl check.pl [options] COMPILER [option of the compiler ...]: compiles each misuse of the files beside this one, and checks
# that it fails, that its first error has the expected words, and that all of the output has at most 25 lines.
#
#   --work FOLDER     where the pieces and the precompiled headers go; default: build/misuse in the current folder
#   --only PATTERN    only misuses whose "file: title" matches
#   --show            prints what the compiler says
#   --lines           prints "file<TAB>title<TAB>lines" for each
#   --table A B ...   makes README.md's table out of such lists, one column each: --table "GCC 12 before=a.txt" "GCC 12=b.txt"
#
# A file is a preamble and misuses, each of which is compiled by itself behind the preamble:
#     // misuse: its title
#     // only: gcc 12            (where others compile it) or: only: gcc, only: clang
#     // says: words of the first error
use strict;
use warnings;
use File::Basename;
use File::Path qw(make_path);

my $most_lines = 25;
my $here = dirname(__FILE__);
my ($work, $only, $show, $lines) = ('build/misuse', '', 0, 0);
while (@ARGV && $ARGV[0] =~ /^--/) {
  my $option = shift;
  if ($option eq '--work') { $work = shift }
  elsif ($option eq '--only') { $only = shift }
  elsif ($option eq '--show') { $show = 1 }
  elsif ($option eq '--lines') { $lines = 1 }
  elsif ($option eq '--table') { exit print_table(@ARGV) }
  else { die "unknown option $option\n" }
}
my @compiler = @ARGV or die "usage: check.pl [options] COMPILER [option ...]\n";
push @compiler, '-std=c++20', '-fsyntax-only';

# Which compiler it is, by its macros.
my %macro = map { /^#define (\S+) (\S+)/ ? ($1 => $2) : () } qx(@{[join ' ', map { quotemeta } @compiler[0 .. 0]]} -dM -E -x c++ /dev/null);
my $clang = exists $macro{__clang__};
my $family = $clang ? 'clang' : 'gcc';
my $version = $clang ? $macro{__clang_major__} : $macro{__GNUC__};
die "not a compiler: $compiler[0]\n" unless $version;
# What CMake gives to users of Clang, too.
push @compiler, '-DASIO_HAS_CO_AWAIT=1', '-DASIO_HAS_STD_COROUTINE=1' if $clang;

make_path($work);
my (@wrong, %header, $count);
for my $file (sort glob "$here/*.cpp") {
  my $name = basename($file);
  my ($preamble, @cases) = pieces_of($file);
  for my $case (@cases) {
    next if $only && "$name: $case->{title}" !~ /$only/;
    next if $case->{only} && !fits($case->{only});
    $count++;
    check($name, $preamble, $case);
  }
}
die "no misuse matches $only\n" unless $count;
exit 0 if $lines;
print "$_\n" for @wrong;
printf "%d misuses, %d wrong\n", $count, scalar @wrong;
exit(@wrong ? 1 : 0);

sub fits {
  my ($which, $number) = split ' ', shift;
  return $which eq $family && (!$number || $number == $version);
}

sub pieces_of {
  my $file = shift;
  open(my $in, '<', $file) or die "$file: $!\n";
  my ($preamble, @cases) = ('');
  while (my $line = <$in>) {
    if ($line =~ m{^// misuse: (.+)$}) {
      push @cases, {title => $1, text => qq(#line @{[$. + 1]} "@{[basename($file)]}"\n)};
      next;
    }
    if (!@cases) { $preamble .= $line; next; }
    $cases[-1]{says} = $1 if $line =~ m{^// says: (.+)$};
    $cases[-1]{only} = $1 if $line =~ m{^// only: (.+)$};
    $cases[-1]{text} .= $line;
  }
  die "$file: no misuse in it\n" unless @cases;
  for (@cases) { die "$file: \"$_->{title}\" says not what it expects\n" unless $_->{says} }
  return ($preamble, @cases);
}

# Compiled once; the library's own headers are most of the work.
sub precompiled {
  my $preamble = shift;
  my ($include) = $preamble =~ m{^#include <(tidepool/\S+)>}m or die "a preamble without tidepool\n";
  return $header{$include} if $header{$include};
  (my $folder = "$work/$family-$include") =~ s/\.hpp$//;
  make_path($folder);
  my $source = "$folder/all.hpp";
  write_file($source, "#include <$include>\n");
  my @options = grep { $_ ne '-fsyntax-only' } @compiler;
  my $out = $clang ? "$source.pch" : "$source.gch";
  system(@options, ($clang ? '-fpch-instantiate-templates' : ()), '-x', 'c++-header', $source, '-o', $out) == 0 or die "$include does not compile\n";
  return $header{$include} = $clang ? ['-include-pch', $out, '-fpch-instantiate-templates'] : ['-include', $source];
}

sub check {
  my ($name, $preamble, $case) = @_;
  my $source = "$work/$family-case.cpp";
  write_file($source, $preamble . $case->{text});
  my $said = "$work/$family-case.txt";
  my @command = (@compiler, @{precompiled($preamble)}, $source);
  my $status = run(\@command, $said);
  open(my $in, '<', $said) or die "$said: $!\n";
  my @output = <$in>;
  my $length = @output;
  print "=== $name: $case->{title} ($length lines)\n", @output if $show;
  if ($lines) {
    print "$name\t$case->{title}\t", ($status == 0 ? 'compiles' : $length), "\n";
    return;
  }
  my $which = "$name: $case->{title}";
  my ($error) = grep { /\berror:/ } @output;
  if ($status == 0) {
    push @wrong, "$which: it compiles";
  } elsif (!defined $error) {
    push @wrong, "$which: the compiler failed without an error: @output";
  } else {
    push @wrong, "$which: its first error does not say \"$case->{says}\", but: $error" if index($error, $case->{says}) < 0;
    push @wrong, "$which: $length lines of output, more than $most_lines" if $length > $most_lines;
  }
}

sub run {
  my ($command, $out) = @_;
  my $child = fork() // die "fork: $!\n";
  if ($child == 0) {
    delete $ENV{CLICOLOR_FORCE};
    $ENV{LC_ALL} = 'C';
    open(STDOUT, '>', $out) or die "$out: $!\n";
    open(STDERR, '>&', \*STDOUT) or die "stderr: $!\n";
    exec @$command or exit 127;
  }
  waitpid($child, 0);
  return $?;
}

sub write_file {
  my ($file, $text) = @_;
  open(my $out, '>', $file) or die "$file: $!\n";
  print $out $text;
  close $out or die "$file: $!\n";
}

sub print_table {
  my (@heads, @order, %title, %cell);
  for my $argument (@_) {
    my ($head, $file) = split /=/, $argument, 2;
    push @heads, $head;
    open(my $in, '<', $file) or die "$file: $!\n";
    while (<$in>) {
      chomp;
      my ($of, $title, $number) = split /\t/;
      push @order, "$of\t$title" unless exists $cell{"$of\t$title"};
      $cell{"$of\t$title"}{$head} = $number;
    }
  }
  print '| misuse | ', join(' | ', @heads), " |\n|---|", '---|' x @heads, "\n";
  for my $key (@order) {
    my ($of, $title) = split /\t/, $key;
    print "| $title | ", join(' | ', map { $cell{$key}{$_} // '' } @heads), " |\n";
  }
  return 0;
}
