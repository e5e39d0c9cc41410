# SPDX-License-Identifier: BSL-1.0
# tidepool - perl filter.pl HEADER: the header as Doxygen is to see it; line numbers stay.
#
# Doxygen 1.9 does not know `namespace a::inline b`, and where code is compiled is none of the reader's business. It wants a comment before
# every declaration, where these headers leave out what would only repeat: a comment is for all overloads that follow it, and members with
# a fixed meaning, constructors, comparisons, fields and plain getters whose name says it all have none.
use strict;
use warnings;

my %said = (
  enabled => 'Whether the pool asks this policy at all.',
  map({ $_ => 'As the standard library and Asio want it.' }
    qw(iterator_category value_type difference_type pointer reference rep period duration time_point is_steady clock_type executor_type
       allocator_type get_executor what now lock try_lock unlock query execute)),
  kind => 'As in `connect_failure`.',
  on_event => 'Words it.',
  map({ $_ => 'As in containers of the standard library.' } qw(begin end size empty c_str operator++ operator-> operator[] operator<<)),
  map({ $_ => 'As in `default_traits`.' }
    qw(traits_type connection_type timer_type mutex_type observer health_policy leak_policy scaling_policy lifetime_policy
       queue_policy breaker_policy)),
);
my $getter = qr/\b\w+\(\) const(?: noexcept)?(?: requires\S+)?(?: \{ return .*\}|;)$/;
my %of_codec = map { $_ => 'As in every `codec`.' } qw(oid array_oid encode decode type);

# What a declaration says, from its first line to the brace or semicolon, without attributes, template heads and constraints.
sub plain {
  my ($text) = @_;
  $text =~ s/\[\[.*?\]\]//sg;
  $text =~ s/^\s*template\s*(<(?:[^<>]|(?1))*>)//s;
  my $constraint = qr/\([^()]*(?:\([^()]*\)[^()]*)*\)|[\w:]+(?<list><(?:[^<>]|(?&list))*>)?/;
  $text =~ s/^\s*requires\s*$constraint(?:\s*&&\s*$constraint)*//s;
  $text =~ s/\b(?:explicit|noexcept|decltype)\s*\((?:[^()]|\([^()]*\))*\)//g;
  $text =~ s/\b(?:explicit|constexpr|static|virtual|inline|friend)\b\s*//g;
  return $text;
}
# Its name, and whether it is a function.
sub name_of {
  my ($text) = @_;
  return ("operator$1", 1) if $text =~ /\boperator\s*(\(\)|[^\s(]+)\s*\(/;
  return ($1, 0) if $text =~ /^\s*using\s+(\w+)\s*=/;
  return ($1, 1) if $text =~ /^[^=({]*?(~?\w+)\s*\(/;
  return ($1, 0) if $text =~ /^[^=({;]*?(\w+)\s*(?:\{|=|;|$)/;
  return ('', 0);
}

my @lines = map { s/\bTIDEPOOL_(?:EXPORT|DECL|LAZY) //r } <>;
my %class_at;    # by indentation
my $group = '';  # the comment of all members from ///@{ to ///@}
my ($comment, $comment_of, $comment_at) = ('', '', -1);  # the last one, the function it is for, and its indentation
for (my $i = 0; $i < @lines; ++$i) {
  my $line = $lines[$i];
  $lines[$i] =~ s/::inline \w+_NAMESPACE\b//;
  if ($line =~ /^struct std::is_error_code_enum</) {  # Doxygen does not find its template, and warns
    $lines[$i - 1] = $lines[$i] = "\n";
    next;
  }
  if ($line =~ m{^( *)///(?!<)(.*)}) {
    $comment = '';
    while ($lines[$i] =~ m{^ *///(.*)}) { $comment .= "$1\n"; ++$i; }
    $comment_at = length $1;
    $comment_of = '';
    ($group = $1) =~ s/^ // if $comment =~ /^(.*)\n\@\{$/s;
    $group = '' if $comment =~ /^\@\}$/;
    $line = $lines[$i];
    $lines[$i] =~ s/::inline \w+_NAMESPACE\b//;
    next unless $line =~ /\S/;
  } else {
    $comment_at = -1 if $line =~ /^ *(?:public|private|protected):/;
    next if $line !~ /^( *)[\w\[~:]/ || $line =~ /^ *(?:public|private|protected):|^ *(?:namespace|return|if|for|else|case|switch|while)\b/;
    next if $line =~ m{///<};
  }
  my ($indent) = $line =~ /^( *)/;
  my $class = $class_at{length($indent) - 2} || '';
  next if length($indent) > 4;
  # The whole declaration: lines that go on have a deeper indentation, or stand below a template head.
  my ($whole, $last) = ($line, $i);
  while ($whole !~ /[;{}]\s*(?:\/\/.*)?$/m && $last + 1 < @lines && $lines[$last + 1] =~ /\S/ && $lines[$last + 1] !~ m{^ *//}) {
    $whole .= $lines[++$last];
  }
  next if $whole =~ m{///<};
  my $text = plain($whole);
  if ($text =~ /^\s*(?:class|struct)\s+([\w:]+)\s*(<.*?>)?(?=[^;]*\{)/s) {
    ($class_at{length $indent}, my $arguments) = ($1, $2);
    if ($arguments && $class_at{length $indent} =~ /codec$/ && $comment_at < 0) {
      $lines[$i] =~ s{^( *)}{$1/** How values of this type are written and read. */ };
    }
    $comment_at = -1;
    next;
  }
  my ($name, $is_function) = name_of($text);
  next if $name eq '';
  if ($comment_at >= 0 && $comment_of eq '') {  # it is the one below the comment
    $comment_of = $is_function ? $name : '-';
    next;
  }
  my $word = $group;
  if ($word ne '') {
    $word =~ s/\n */ /g;
  } elsif ($whole =~ /=\s*delete\s*;/) {
    $word = 'Not possible.';
  } elsif ($whole =~ /^\s*requires\s*(?:\(?!|detail::(?:another|no)_)/m) {
    $word = 'For a call that does not fit: the error says why.';
  } elsif ($comment_at == length $indent && $comment_of eq $name) {
    ($word = $comment) =~ s/\s+$//;
    $word =~ s/\n */ /g;
  } elsif ($is_function && ($text =~ /\bdetail::/ || $whole =~ /\brequires detail::/)) {
    $word = 'For the library itself.';
  } elsif ($class =~ /codec$/ && $of_codec{$name}) {
    $word = $of_codec{$name};
  } elsif ($name =~ /^operator(?:==|!=|<=>)/) {
    $word = 'Compares the values.';
  } elsif ($name eq $class && $text =~ /\(\s*(?:const\s+)?\Q$class\E\s*(&&?)/ || $name eq 'operator=') {
    $word = $text =~ /&&/ ? 'Moves.' : 'Copies.';
  } elsif ($name eq $class) {
    $word = 'From its parameters.';
  } elsif ($said{$name}) {
    $word = $said{$name};
  } elsif ($is_function ? $whole =~ $getter : $text !~ /^\s*(?:using|enum)\b/) {
    ($word = ucfirst $name) =~ tr/_/ /;
    $word .= '.';
  }
  $lines[$i] =~ s{^( *)}{$1/** $word */ } if $word ne '';
}
print @lines;
