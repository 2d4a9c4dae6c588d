#!/usr/bin/env bash
# Runs one group of checks, prints its minutes beside its budget, and fails when the group fails.
# Usage: infra/timed.sh GROUP COMMAND [ARG ...]     Budgets: .ci/budget.tsv
set -uo pipefail
cd "$(dirname "$0")/.."
group=$1
shift
budget=$(awk -v g="$group" '$1 == g {print $2}' .ci/budget.tsv)
if [ -z "$budget" ]; then
  echo "timed: $group has no line in .ci/budget.tsv" >&2
  exit 2
fi
started=$SECONDS
timeout --kill-after=30 "$((budget * 60))" "$@"
status=$?
minutes=$(awk -v s="$((SECONDS - started))" 'BEGIN {printf "%.1f", s / 60}')
if [ "$status" -eq 124 ]; then
  echo "[$group] stopped: over its budget of $budget min" >&2
else
  echo "[$group] $minutes min of $budget (exit $status)"
fi
exit "$status"
