#!/bin/bash
# Run everything `make check` runs and count it: each test program writes TAP
# to build/tap/NAME.tap; the last line here is the sum.
#
#	tests/check.sh unit		unit tests alone, as anybody
#	tests/check.sh all		everything; needs root for the namespaces
#
# Ends with 0, with 1 when something failed, with 77 when all that could run
# passed but no namespace could be made.
set -u
cd "$(dirname "$0")/.." || exit 1
what=${1:-all}
tap=build/tap
mkdir -p $tap
rm -f $tap/*.tap

say() { printf '%s\n' "$*"; }

# run NAME COMMAND...: one TAP producer; a program that ends badly without
# saying "not ok" is a failure of its own.
run() {
	local name=$1 status
	shift
	"$@" >"$tap/$name.tap" 2>"$tap/$name.err"
	status=$?
	if [ $status -ne 0 ] && ! grep -q '^not ok' "$tap/$name.tap"; then
		say "not ok - $name ended with status $status" >>"$tap/$name.tap"
	fi
	if ! grep -qE '^(not )?ok' "$tap/$name.tap"; then
		say "not ok - $name ran no test" >>"$tap/$name.tap"
	fi
	report "$name"
}

report() {
	local ok bad skip
	ok=$(grep -E '^ok' "$tap/$1.tap" | grep -vci '# skip')
	bad=$(grep -c '^not ok' "$tap/$1.tap")
	skip=$(grep -E '^ok' "$tap/$1.tap" | grep -ci '# skip')
	printf '%-28s %5d passed' "$1" "$ok"
	[ "$bad" -gt 0 ] && printf ', %d failed' "$bad"
	[ "$skip" -gt 0 ] && printf ', %d skipped' "$skip"
	printf '\n'
	if [ "$bad" -gt 0 ]; then
		grep '^not ok' "$tap/$1.tap" | head -20 | sed 's/^/    /'
		[ -s "$tap/$1.err" ] && tail -15 "$tap/$1.err" | sed 's/^/    | /'
	fi
}

# Why no network namespace can be made here, or nothing.
no_namespace() {
	if ! sh tests/as-root.sh true 2>/dev/null; then
		echo "that needs root, or sudo"
		return
	fi
	sh tests/as-root.sh unshare --net --mount --pid --fork true \
		2>/dev/null ||
		echo "CAP_SYS_ADMIN is missing (unshare --net --mount --pid)"
}

skip() {	# NAME REASON WHAT...
	local name=$1 why=$2 number=0 what
	shift 2
	for what in "$@"; do
		number=$((number + 1))
		say "ok $number - $what # SKIP $why"
	done >"$tap/$name.tap"
	report "$name"
}

export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

units() {
	local test
	for test in tests/unit/*.c; do
		test=$(basename "$test" .c)
		run "unit-$test" "build/san/unit/$test"
	done
	for test in tests/unit/*.py; do
		[ -e "$test" ] || continue
		run "unit-$(basename "$test" .py)" \
			env BUILD=build/san /usr/bin/python3 "$test"
	done
	for test in tests/fuzz/*.c; do
		test=$(basename "$test" .c)
		[ "$test" = replay ] && continue
		run "fuzz-$test" "build/san/fuzz/$test" "tests/fuzz/corpus/$test"
	done
}

everything() {
	run arch bash tests/arch.sh build
	run conformance /usr/bin/python3 tests/conformance.py --check
	run decide build/san/decide/table --check tests/decide/table.golden \
		man/culver-policy.7
	run signing /usr/bin/python3 tests/signing.py build
	root='sh tests/as-root.sh /usr/bin/python3'
	why=$(no_namespace)
	if [ -n "$why" ]; then
		say "No network namespace can be made: $why."
		skip scenarios "$why" tests/scenario/*.scn
		skip scenarios-plain "$why" \
			$(grep -l '^marked: plain' tests/scenario/*.scn)
		skip attack "$why" tests/attack.py
		skip fault "$why" tests/fault.py
		skip torture "$why" tests/torture.py
		without=77
		return
	fi
	run scenarios $root tests/run.py --build build/san tests/scenario/*.scn
	run scenarios-plain $root tests/run.py --build build --marked plain \
		tests/scenario/*.scn
	run attack $root tests/attack.py build
	run fault $root tests/fault.py build
	run torture $root tests/torture.py --build build --rounds 20 \
		--cuts 20 --tap
}

# A line for each thing: a scenario counts by its steps; the line that sums it
# up, in its own file and in that of the run, only where no step says as much
# (it had none, or failed beside them).
results() {
	local file summary line name
	for file in $tap/*.tap; do
		case ${file##*/} in
		scenario.*)	grep -E '^(not )?ok' "$file" | without_summary ;;
		scenarios*)	;;
		*)		grep -E '^(not )?ok' "$file" ;;
		esac
	done
	for summary in scenarios:san scenarios-plain:build; do
		grep -sE '^(not )?ok' "$tap/${summary%:*}.tap" |
		while read -r line; do
			name=$(say "$line" |
				sed -nE 's/.* - ([A-Z][^ ]* )*([a-z0-9-]+): .*/\2/p')
			grep -qs "^${line%% [0-9]*} " \
				"$tap/scenario.${summary#*:}.$name.tap" ||
				say "$line"
		done
	done
}

without_summary() {	# it is the last line
	awk '{ line[NR] = $0 }
	END {
		for (i = 1; i < NR; i++) {
			print line[i]
			said[line[i] ~ /^not/] = 1
		}
		if (NR > 0 && !said[line[NR] ~ /^not/])
			print line[NR]
	}'
}

without=0
units
[ "$what" = unit ] || everything

results >$tap/results
skipped=$(grep -E '^ok' $tap/results | grep -ci '# skip')
passed=$(($(grep -c '^ok' $tap/results) - skipped))
failed=$(grep -c '^not ok' $tap/results)
say "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] || exit 1
exit $without
