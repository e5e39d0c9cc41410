# SPDX-License-Identifier: BSL-1.0
# tidepool - perl check_sources.pl FOLDER VERSION: what every file of the project has to be, seen without a compiler.
#            perl check_sources.pl FOLDER --format CLANG_FORMAT: every C++ file is as that program would write it.
#
# Sources, scripts and build files have the SPDX line; the version that CMake has read is that of version.hpp; no header opens the
# namespace without the version's inline one, and each that opens it includes version.hpp, by itself or through what it includes; the name
# of a test says given and then, in at most 100 characters and without an id, and is unique in its area; include guards are the path; what
# takes real time or real randomness in a header says that it means to; attributes of one compiler stand behind macros; headers
# name neither standalone Asio nor Boost's, and no error types of the standard library.
use strict;
use warnings;
use File::Find;

my ($root, $version, $clang_format) = @ARGV;
die "usage: check_sources.pl FOLDER VERSION | FOLDER --format CLANG_FORMAT\n" unless defined $version && ($version ne '--format' || $clang_format);
my (@wrong, %text);

for my $folder (grep { -d "$root/$_" } qw(.ci .github include tests examples benchmarks)) {
  find({no_chdir => 1, wanted => sub {
    if (-d $_ && m{/(build|\.cache)$}) { $File::Find::prune = 1; return; }
    return unless -f $_ && (m{\.(hpp|ipp|cpp|cmake|sh|pl|py|awk|yml)$} || m{/CMakeLists\.txt$} || m{/\.ci/});
    $text{substr($_, length($root) + 1)} = read_file($_);
  }}, "$root/$folder");
}
$text{$_} = read_file("$root/$_") for grep { -f "$root/$_" } ('CMakeLists.txt', '.clang-format', '.clang-tidy');
die "no sources below $root\n" unless keys %text > 100;

sub read_file {
  my $file = shift;
  open(my $in, '<', $file) or die "$file: $!\n";
  local $/;
  return <$in>;
}

# --- format -------------------------------------------------------------------------------------------------------------------------
if ($clang_format) {
  my @cpp = sort grep { /\.[chi]pp$/ } keys %text;
  my $all = @cpp;
  chdir $root or die "$root: $!\n";
  while (my @some = splice @cpp, 0, 40) {
    my $said = qx('$clang_format' --dry-run -Werror @some 2>&1);
    next unless $?;
    my %bad = map { $_ => 1 } $said =~ /^(\S+?):\d+:\d+: error: code should be clang-formatted/mg;
    push @wrong, map { "$_: clang-format would write it in another way: clang-format -i $_" } sort keys %bad;
    push @wrong, $said unless %bad;
  }
  print "$_\n" for @wrong;
  print "$all files\n" unless @wrong;
  exit(@wrong ? 1 : 0);
}

# --- licence ------------------------------------------------------------------------------------------------------------------
for my $file (sort keys %text) {
  push @wrong, "$file: no SPDX-License-Identifier: BSL-1.0 in its first two lines"
    unless $text{$file} =~ m{\A(?:[^\n]*\n)?(?://|\#) SPDX-License-Identifier: BSL-1\.0\n};
}

# --- version and namespace ------------------------------------------------------------------------------------------------------
my @parts = map { $text{'include/tidepool/version.hpp'} =~ /define TIDEPOOL_VERSION_$_ (\d+)\n/ ? $1 : "no $_" } qw(MAJOR MINOR PATCH);
push @wrong, "version.hpp says " . join('.', @parts) . ", CMake $version" unless join('.', @parts) eq $version;

my %sees_version;  # 1: yes, 0: not, or being looked at
sub sees_version {
  my $file = shift;
  return 1 if $file eq 'include/tidepool/version.hpp';
  return $sees_version{$file} if exists $sees_version{$file};
  $sees_version{$file} = 0;
  for my $name ($text{$file} =~ /^\#include ["<]([^">]+)[">]/mg) {
    my $other = "include/$name";
    if ($name !~ m{^tidepool/}) {
      ($other = $file) =~ s{[^/]+$}{$name};
      1 while $other =~ s{[^/]+/\.\./}{};
    }
    return $sees_version{$file} = 1 if defined $text{$other} && sees_version($other);
  }
  return 0;
}
for my $file (sort grep { m{^include/} } keys %text) {
  # Comments and texts may name the namespace.
  (my $code = $text{$file}) =~ s{//[^\n]*}{}g;
  my @opened = $code =~ /\bnamespace\s+(tidepool\b[^{;=]*)\{/g;
  for my $namespace (@opened) {
    push @wrong, "$file: opens namespace $namespace without the inline namespace TIDEPOOL_VERSION_NAMESPACE"
      unless $namespace =~ /^tidepool::inline TIDEPOOL_VERSION_NAMESPACE\b/;
  }
  push @wrong, "$file: opens the namespace without version.hpp" if @opened && !sees_version($file);
}

# --- include guards --------------------------------------------------------------------------------------------------------------
for my $file (sort grep { m{^include/.*\.[hi]pp$} } keys %text) {
  (my $guard = uc substr($file, length 'include/')) =~ s/[^A-Z0-9]/_/g;
  push @wrong, "$file: its include guard is not $guard" unless $text{$file} =~ /^\#ifndef $guard\n\#define $guard\n/m;
}

# --- time and randomness -------------------------------------------------------------------------------------------------------------
# Those of a pool come from its Traits, so that it runs in virtual time.
my $real = qr/\b(?:(?:steady|system|high_resolution)_clock::now|(?:steady|system|high_resolution)_timer|random_device|clock_gettime|this_thread::sleep_for|this_thread::sleep_until)\b/;
for my $file (sort grep { m{^include/.*\.[hi]pp$} } keys %text) {
  my $number = 0;
  for my $line (split /\n/, $text{$file}) {
    $number++;
    next if $line =~ m{// NOLINT\(clock\)};
    (my $code = $line) =~ s{"(?:[^"\\]|\\.)*"|//.*}{}g;
    push @wrong, "$file:$number: takes real time or randomness: use that of Traits, or mark it: // NOLINT(clock): why" if $code =~ $real;
  }
}

# --- attributes of one compiler: the pool's headers spell them once -------------------------------------------------------------------
# The PostgreSQL driver needs POSIX, and with it GCC or Clang.
for my $file (sort grep { m{^include/.*\.[hi]pp$} && $_ !~ m{/postgres/|/attributes\.hpp$} } keys %text) {
  my $number = 0;
  for my $line (split /\n/, $text{$file}) {
    $number++;
    (my $code = $line) =~ s{//.*}{};
    push @wrong, "$file:$number: an attribute that MSVC spells otherwise: write that of detail/util/attributes.hpp" if $code =~ /\[\[(?:gnu::|no_unique_address)/;
  }
}

# --- one set of headers for standalone Asio and Boost.Asio -----------------------------------------------------------------------------
# Only these know of both.
my $flavours = qr{^include/tidepool/(?:version|detail/util/(?:error_code|asio|asio_address)|detail/driver/asio_\w+)\.hpp$};
my @of_one_flavour = (
  [qr/\bstd::(?:error_code|error_condition|error_category|system_error|is_error_code_enum|generic_category|system_category|make_error_code)\b/,
    'names the standard library\'s error types: write tidepool::error_code, system_error, ... of detail/util/error_code.hpp'],
  # What the functions of <charconv> return is std::errc in both.
  [qr/\bstd::errc::(?!result_out_of_range\b|invalid_argument\b)/, 'names std::errc: write tidepool::generic_errc'],
  [qr/\b(?:BOOST_)?ASIO_\w|\bTIDEPOOL_BOOST_ASIO\b/, 'asks for a macro of one Asio: write TIDEPOOL_ASIO_VERSION, or a TIDEPOOL_ASIO_HAS_... of detail/util/asio.hpp'],
  [qr/(?<![\w:])(?:::asio|(?:::)?boost)::/, 'names the namespace of one Asio: write asio::, which is tidepool::asio'],
  [qr{^\s*#\s*include\s*(?:<boost/|<asio[/.]|"boost/|"asio/)}, 'includes one Asio: include detail/util/asio.hpp, asio_address.hpp or detail/driver/asio_io.hpp, asio_local.hpp'],
);
for my $file (sort grep { m{^include/.*\.[hi]pp$} && $_ !~ $flavours } keys %text) {
  my $number = 0;
  for my $line (split /\n/, $text{$file}) {
    $number++;
    (my $code = $line) =~ s{//.*}{};
    for my $rule (@of_one_flavour) {
      push @wrong, "$file:$number: $rule->[1]" if $code =~ $rule->[0];
    }
  }
}

# Their tests are compiled for both, too.
for my $file (sort grep { m{^tests/(?:unit|core|pool|simulator|threads|postgres)/} && !m{^tests/(?:unit/error|pool/outages)\.cpp$} } keys %text) {
  my $number = 0;
  for my $line (split /\n/, $text{$file}) {
    $number++;
    (my $code = $line) =~ s{//.*}{};
    push @wrong, "$file:$number: tests are compiled on Boost.Asio as well: write tidepool::error_code, tidepool::system_error"
      if $code =~ /\b(?:std|asio)::(?:error_code|system_error)\b/;
    push @wrong, "$file:$number: tests are compiled on Boost.Asio as well: include support/asio.hpp" if $code =~ m{^\s*#\s*include\s*<(?:asio|boost)/};
  }
}

# --- names of tests ---------------------------------------------------------------------------------------------------------------
my %area_of;
for my $file (sort grep { m{^tests/.*\.cpp$} } keys %text) {
  my ($area) = $file =~ m{^tests/(\w+)};
  while ($text{$file} =~ /^ *TEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)/mg) {
    my $name = join '', $1 =~ /"((?:[^"\\]|\\.)*)"/g;
    push @wrong, "$file: more than 100 characters: $name" if length $name > 100;
    push @wrong, "$file: ids are tags, the second argument: $name" if $name =~ /\[/;
    push @wrong, "$file: says not what is given and then: $name" unless $name =~ /\bgiven .*\bthen /;
    push @wrong, "$file: there are two of this name in $area: $name" if $area_of{"$area $name"}++;
  }
}

print "$_\n" for @wrong;
exit 1 if @wrong;
printf "%d files, %d names of tests\n", scalar keys %text, scalar keys %area_of;
