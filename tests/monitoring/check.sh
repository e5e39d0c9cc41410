#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# tidepool - metrics, alerts and the dashboard fit together.
#
#   check.sh PRINT_METRICS   the program beside this script; exit status 77: there is no promtool, and none can be had
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
monitoring=$root/examples/monitoring
metrics=$(mktemp)
trap 'rm -f "$metrics"' EXIT
"$1" >"$metrics"

# Each metric that an alert, its test or a panel of the dashboard names is there; each alert has its section in the runbook.
perl -MJSON::PP -we '
  use strict;
  my ($metrics, $dashboard, $alerts, $test, $runbook) = map { local (@ARGV, $/) = $_; scalar <> } @ARGV;
  my %known;
  while ($metrics =~ /^# TYPE (\S+) (\S+)$/mg) {
    my ($name, $type) = ($1, $2);
    $known{$_} = 1 for $type eq "histogram" ? map { $name . $_ } qw(_bucket _sum _count) : $name;
  }
  my %label = map { $_ => 1 } $metrics =~ /[{,](\w+)="/g;
  my @texts;
  my $walk;
  $walk = sub {
    my $at = shift;
    if (ref $at eq "HASH") { for (sort keys %$at) { push @texts, $at->{$_} if /^(expr|query)$/ && !ref $at->{$_}; $walk->($at->{$_}) } }
    elsif (ref $at eq "ARRAY") { $walk->($_) for @$at }
  };
  $walk->(decode_json($dashboard));
  die "the dashboard has no queries\n" if @texts < 10;
  push @texts, $alerts =~ /^\s+expr: (.*)$/mg, $test =~ /series: \x27(\w+)/g;
  my $wrong = 0;
  for my $text (@texts) {
    for my $name ($text =~ /\b(db_\w+)/g) {
      next if $label{$name} || ($name =~ /^db_multiplexer_/ && !$known{db_multiplexer_waiting});  # built without that driver
      print "no metric: $name in $text\n" and $wrong++ unless $known{$name};
    }
  }
  for my $alert ($alerts =~ /- alert: (\w+)/g) { print "not in the runbook: $alert\n" and $wrong++ unless $runbook =~ /^## \Q$alert\E$/m }
  for my $section ($runbook =~ /^## (Pool\w+)$/mg) { print "no such alert: $section\n" and $wrong++ unless $alerts =~ /- alert: $section$/m }
  printf "%d queries name only metrics that exist\n", scalar @texts unless $wrong;
  exit($wrong ? 1 : 0);
' "$metrics" "$monitoring/dashboard.json" "$monitoring/alerts.yml" "$here/alerts_test.yml" "$monitoring/README.md"

promtool=$(command -v promtool || "$root/tests/support/install.sh" promtool) || { echo "no promtool within reach" && exit 77; }
"$promtool" check metrics <"$metrics"
# This name is OpenTelemetry's, and promtool has a wish about its end. Nothing else.
wishes=$("$1" otel | "$promtool" check metrics 2>&1) || true
[ "$wishes" = 'db_client_connection_count non-histogram and non-summary metrics should not have "_count" suffix' ] || { echo "$wishes" && exit 1; }
"$promtool" check rules "$monitoring/alerts.yml"
"$promtool" test rules "$here/alerts_test.yml"
