#!/bin/bash
# Is the tree built as its design says?  TAP; run from the top folder:
#
#	tests/arch.sh [BUILD]		BUILD is build if not given
#
# Sources are read as text; programs are looked at with readelf and nm, and
# traced with strace from their own confinement on (KEEP=1 leaves the traces).
# What a page of the manual must list stands in it as `.It Ic NAME`: keywords
# in culver.conf.5, verbs in culverctl.8, log events in culverd.8.
set -u
build=${1:-build}
folders='conf smtpd queue policy delivery reports'
number=0
failed=0

# check NAME COMMAND...: a line of TAP; what the command says is wrong.
check() {
	local name=$1 wrong
	shift
	wrong=$("$@")
	number=$((number + 1))
	if [ -z "$wrong" ]; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
		printf '%s\n' "$wrong" | sed 's/^/#   /' | head -40
		printf '%s:\n%s\n' "$name" "$wrong" | head -40 >&2
		failed=$((failed + 1))
	fi
}

skip() {	# NAME REASON
	number=$((number + 1))
	echo "ok $number - $1 # SKIP $2"
}

sources() {
	local folder
	for folder in $folders; do
		find "$folder" -name '*.[ch]' 2>/dev/null
	done | sort
}

# The file without comments and strings, its lines kept: FILE:LINE:TEXT.
code_of() {
	awk -v file="$1" '
	{
		text = $0
		out = ""
		while (text != "") {
			if (inside) {
				end = index(text, "*/")
				if (end == 0)
					break
				text = substr(text, end + 2)
				inside = 0
				continue
			}
			if (match(text, /^\/\*/)) {
				inside = 1
				text = substr(text, 3)
			} else if (match(text, /^\/\//)) {
				break
			} else if (match(text, /^"([^"\\]|\\.)*"/) ||
			    match(text, /^\x27([^\x27\\]|\\.)*\x27/)) {
				out = out "\"\""
				text = substr(text, RLENGTH + 1)
			} else {
				out = out substr(text, 1, 1)
				text = substr(text, 2)
			}
		}
		print file ":" FNR ":" out
	}' "$1"
}

# --- the tree

top_level() {
	local known=' smtpd queue policy delivery reports conf tests man
		Makefile README.md LICENSE .ci .gitignore .clang-format '
	local made=' .git build run ' name
	for name in $(ls -A); do
		[[ " $(echo $known $made) " = *" $name "* ]] ||
			echo "$name does not belong at the top"
	done
}

# Which header of another folder may a file include?  (design.md 6)
may_include() {		# FOLDER HEADER
	case $2 in
	conf/*|"$1"/*)	return 0 ;;
	esac
	case "$1 $2" in
	'smtpd queue/queue.h')		return 0 ;;
	'reports queue/queue.h')	return 0 ;;
	'reports policy/policy.h')	return 0 ;;
	'delivery queue/queue.h')	return 0 ;;
	'delivery policy/policy.h')	return 0 ;;
	'delivery reports/reports.h')	return 0 ;;
	esac
	return 1
}

includes() {
	local file header
	sources | xargs grep -Ho '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[^"]*"' |
	while IFS=: read -r file header; do
		header=${header#*\"}
		header=${header%\"}
		case $header in
		*/*)	;;
		*)	header=${file%/*}/$header ;;
		esac
		[ -e "$header" ] || echo "$file includes $header, which is not"
		may_include "${file%%/*}" "$header" ||
			echo "$file includes $header"
	done
}

# A library stands behind one door; conf knows no SMTP, DNS or TLS.
library_headers() {
	sources | xargs grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*<' |
	while IFS=: read -r file line text; do
		case "$file $text" in
		conf/store*)		;;
		*'<db.h>'*)		echo "$file:$line: Berkeley DB" ;;
		esac
		case "$file $text" in
		conf/loop.c*)		;;
		*'<event2/'*)		echo "$file:$line: libevent" ;;
		esac
		case "$file $text" in
		conf/*'<openssl/'*|conf/*'<ares'*|conf/*'<curl/'*|\
		conf/*'<idn2'*|conf/*'<resolv'*|conf/*'<arpa/nameser'*)
			echo "$file:$line: conf knows no SMTP, DNS or TLS" ;;
		esac
	done
}

no_goto() {
	local file
	for file in $(sources); do
		code_of "$file"
	done | grep -E '(^|[^[:alnum:]_])goto([^[:alnum:]_]|$)'
}

# The guard of a header: CULVER_NAME_H or CULVER_FOLDER_NAME_H.
guard_of() {
	local name
	name=$(echo "${1%.h}" | tr 'a-z-' 'A-Z_')
	sed -n 's/^#ifndef //p' "$1" | head -1 |
		grep -xE "CULVER_(${name%/*}_)?${name##*/}_H"
}

# Conditional compilation: the guard of a header, nothing else.
no_if() {
	local file guard
	for file in $(sources); do
		guard=
		if [[ $file = *.h ]]; then
			guard=$(guard_of "$file")
			grep -qx "#define $guard" "$file" ||
				echo "$file has no guard"
		fi
		code_of "$file" | grep -E \
		    '^[^:]*:[0-9]+:[[:space:]]*#[[:space:]]*(if|ifdef|ifndef|elif|else)([^[:alnum:]_]|$)' |
		    grep -vE ":#ifndef ${guard:-none at all}\$"
	done
}

head_comments() {
	local file
	for file in $(sources); do
		[ "$(head -c 2 "$file")" = '/*' ] ||
			echo "$file does not begin with its comment"
	done
}

# --- conf: a closed list, and each module in two programs

# Modules and programs of conf/README: `modules` or `programs`.
readme() {
	awk -v want="$1" '
	/^Programs/ { programs = 1; next }
	/^[a-z][a-z0-9]*  +[^ ]/ && !programs { if (want == "modules") print $1 }
	programs && /^ *[a-z][a-z0-9]* / { if (want == "programs") print $1 }
	' conf/README
}

conf_closed() {
	local listed present
	listed=$({ readme modules; readme programs; } | sort)
	present=$(find conf -name '*.c' -exec basename {} .c \; | sort)
	comm -13 <(echo "$listed") <(echo "$present") |
		sed 's,.*,conf/&.c is not listed in conf/README,'
	comm -23 <(echo "$listed") <(echo "$present") |
		sed 's,.*,conf/README lists &\, which is not,'
	find conf -name '*.h' -exec basename {} .h \; | sort |
		comm -23 - <(echo "$present") |
		sed 's,.*,conf/&.h has no conf/&.c,'
}

programs="bin/culverd bin/culverctl bin/sendmail libexec/culver-smtpd
	libexec/culver-queue libexec/culver-sign libexec/culver-policy
	libexec/culver-fetch libexec/culver-delivery libexec/culver-reports"

programs_exist() {
	local program
	for program in $programs; do
		[ -x "$build/$program" ] || echo "$build/$program is not built"
	done
}

# The linker takes the first of two, in whatever program has room for one.
symbols_once() {
	local symbols
	symbols=$(nm -A -g --defined-only "$build/libculver.a" |
		sed -nE 's/^[^:]*:([^:]*):[0-9a-f]+ [A-UX-Z] (.*)/\2 \1/p')
	[ -n "$symbols" ] || echo "$build/libculver.a defines nothing"
	echo "$symbols" | sort | awk '
		$1 == last { print $1 " is in " file " and in " $2 }
		{ last = $1; file = $2 }'
}

# A module is in a program when what it defines is.
conf_shared() {
	local module program symbols n
	for module in $(readme modules); do
		symbols=$(nm -g --defined-only "$build/obj/conf/$module.o" |
			awk '$2 ~ /[TDBR]/ { print $3 }' | sort)
		n=0
		for program in $programs; do
			[ -n "$(nm "$build/$program" 2>/dev/null |
			    awk '$2 ~ /[TDBRtdbr]/ { print $3 }' | sort |
			    comm -12 - <(echo "$symbols"))" ] && n=$((n + 1))
		done
		[ "$n" -ge 2 ] ||
			echo "conf/$module.c is in $n programs"
	done
}

# --- what programs link (design.md 2)

allowed_libraries() {
	case $1 in
	culverd)		echo libevent_core ;;
	culverctl)		echo libjansson ;;
	sendmail)		echo libidn2 ;;
	culver-smtpd)		echo libevent_core libidn2 ;;
	culver-queue)		echo libevent_core libdb ;;
	culver-sign)		echo libcrypto ;;
	culver-policy)		echo libevent_core libdb libcares libidn2 ;;
	culver-fetch)		echo libcurl libssl libcrypto ;;
	culver-delivery)	echo libevent_core libssl libcrypto ;;
	culver-reports)		echo libevent_core libdb libz libjansson ;;
	esac
}

libraries() {
	local program name allowed library plain
	for program in $programs; do
		name=${program##*/}
		allowed=" libc libseccomp ld-linux $(allowed_libraries "$name") "
		for library in $(readelf -d "$build/$program" |
		    sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
			# libevent_core-2.1.so.7, libdb-5.3.so, ld-linux-x86-64.so.2
			plain=$(echo "$library" |
				sed -E 's/\.so.*//; s/-x86-64$|-aarch64$//; s/-[0-9.]+$//')
			[[ $allowed = *" $plain "* ]] ||
				echo "$name needs $library"
		done
	done
}

# --- the manual lists what there is

# Items of a page, a name a line, the first N words of each.
page_items() {		# PAGE N
	sed -n 's/^\.It Ic //p' "man/$1" | sed 's/\\-/-/g' |
	awk -v n="$2" '{
		name = $1
		for (i = 2; i <= n && $i ~ /^[a-z][a-z-]*$/; i++)
			name = name " " $i
		print name
	}' | sort -u
}

# Both ways: standard input holds the names that the program has.
same_as_page() {	# PAGE N WHAT
	local there
	if [ ! -e "man/$1" ]; then
		cat >/dev/null
		echo "man/$1 is missing"
		return
	fi
	there=$(sort -u)
	[ -n "$there" ] || echo "no $3 was found in the program"
	comm -23 <(echo "$there") <(page_items "$1" "$2") |
		sed "s,.*,$3 & is not in man/$1,"
	comm -13 <(echo "$there") <(page_items "$1" "$2") |
		sed "s,.*,man/$1 has $3 & that the program lacks,"
}

# Every keyword of the table; those not built yet are refused as such.
all_keywords() {
	sed -n '/^static const struct keyword keywords\[\] = {/,/^};/p' \
		conf/config.c | grep -oE '^[[:space:]]*\{ "[a-z-]+"' |
		grep -oE '[a-z-]+'
}

keywords() {
	local keyword
	for keyword in $(all_keywords); do
		"$build/bin/culverd" -n -c /dev/null -o "$keyword=" 2>&1 |
			grep -q 'not yet' || echo "$keyword"
	done
	echo include
}

keywords_in_page() {
	keywords | same_as_page culver.conf.5 1 keyword
}

# The keywords of interfaces that the issue at hand leaves for later.
later_keywords='masquerade aliases relay-to tls-cert tls-key auth-users
	rate-client rate-user relayhost-password relayhost-password-command
	history history-size metrics'
later_are_refused() {
	local keyword said
	for keyword in $later_keywords; do
		all_keywords | grep -qx "$keyword" || {
			echo "$keyword has no row"; continue; }
		said=$("$build/bin/culverd" -n -c /dev/null \
			-o "$keyword=x" 2>&1) &&
			echo "$keyword is taken"
		[[ $said = *'not yet'* ]] || echo "$keyword: $said"
	done
}

# Rows of culverctl's table that are answered, as "noun verb" or "noun".
verbs() {
	sed -n '/^static const struct verb verbs\[\] = {/,/^};/p' \
		conf/culverctl.c | tr '\n\t' '  ' | sed 's/}, *{/}\n{/g' |
		grep -v NOT_YET |
		sed -nE 's/.*\{ "([a-z-]+)", ("([a-z-]+)"|NULL),.*/\1 \3/p' |
		sed 's/ $//'
}

verbs_in_page() {
	verbs | same_as_page culverctl.8 2 verb
}

verbs_known() {
	local verb
	verbs | while read -r verb; do
		# Not "unknown", whatever else: no relay runs here.
		# shellcheck disable=SC2086
		"$build/bin/culverctl" -c /dev/null $verb </dev/null 2>&1 |
			grep -iE 'not yet|no such (noun|verb)|unknown verb' |
			sed "s/^/$verb: /"
	done
}

# Names of the events that the code writes.
events() {
	echo alarm
	sources | grep -v '^conf/log\.' | xargs cat | tr '\n\t' '  ' |
		grep -oE 'event_begin\([^;]*;' |
		grep -oE '"[a-z]+" *\) *;$' | grep -oE '[a-z]+'
}

events_in_page() {
	events | same_as_page culverd.8 1 event
}

known_events='start stop config connect accept reject attempt session defer
	bounce policy report admin alarm'
events_known() {
	events | sort -u |
		comm -23 - <(echo $known_events | tr ' ' '\n' | sort) |
		sed 's,.*,event & is none of those users rely on,'
	# An event whose name is not a literal would escape this test.
	sources | grep -v '^conf/log\.' | xargs cat | tr '\n\t' '  ' |
		grep -oE 'event_begin\([^;]*;' |
		grep -vE '"[a-z]+" *\) *;$'
}

# Of this version: all of them.
events_written() {
	local event
	for event in $known_events; do
		events | grep -qx $event || echo "no line is written for $event"
	done
}

# --- what culverd -n and the command lines say

# culverd -n with these arguments ends so, and says this ("" nothing).
ends() {		# STATUS TEXT ARGUMENT...
	local status=$1 text=$2 said
	shift 2
	said=$("$build/bin/culverd" -n -f "$@" 2>&1 >/dev/null)
	[ $? -eq "$status" ] || echo "culverd -n $*: $said"
	[[ $said = *"$text"* ]] || echo "culverd -n $*: says $said"
}

command_lines() {
	ends 64 '-o: ' -c /dev/null -o nonsense=1
	ends 64 '-o: ' -c /dev/null -o workers
	ends 64 '-o: ' -c /dev/null -o workers=-1
	ends 64 '-o: admin-group: there is no group' \
		-c /dev/null -o admin-group=nobody-has-this
	ends 64 'usage' -x
	printf 'workers 3\n\nadmin-group nobody-has-this\nca-file /dev/null\n' \
		>"$work/wrong.conf"
	ends 1 "$work/wrong.conf:3: admin-group: " -c "$work/wrong.conf"
	ends 1 "$work/wrong.conf:4: ca-file: /dev/null: holds no certificate" \
		-c "$work/wrong.conf"
	echo 'workers -1' >"$work/wrong.conf"
	ends 1 "$work/wrong.conf:1: workers: " -c "$work/wrong.conf"
}

# A configuration that names a key of so many bits.
key_of() {		# BITS
	openssl genrsa -out "$work/$1.key" "$1" 2>/dev/null
	chmod 600 "$work/$1.key"
	echo "dkim example.org s$1 $work/$1.key" >"$work/$1.conf"
}

keys_are_judged() {
	local bits
	for bits in 512 1024 2048; do
		key_of $bits
	done
	ends 1 "$work/512.conf:1: dkim: $work/512.key: " -c "$work/512.conf"
	ends 1 'accepted: an RSA (1024 bits or more)' -c "$work/512.conf"
	ends 0 'is an RSA key of 1024 bits; 2048 are recommended' \
		-c "$work/1024.conf"
	ends 0 '' -c "$work/2048.conf"
	"$build/bin/culverd" -n -c "$work/2048.conf" 2>&1 |
		grep 'are recommended'
	chmod 640 "$work/2048.key"
	ends 1 "(mode 0640); accepted: " -c "$work/2048.conf"
}

keys_are_made() {
	local type
	for type in rsa ed25519; do
		"$build/bin/culverctl" -c /dev/null dkim generate example.org \
			"$type" --type "$type" --file "$work/$type.key" \
			>"$work/$type.said" || echo "$type: $(<"$work/$type.said")"
		grep -q "^$type._domainkey.example.org. IN TXT ( \"v=DKIM1; " \
			"$work/$type.said" || echo "$type: no record"
		grep '^dkim ' "$work/$type.said" >"$work/$type.conf"
		ends 0 '' -c "$work/$type.conf"
		"$build/bin/culverctl" -c "$work/$type.conf" dkim generate \
			example.org "$type" >/dev/null 2>&1 &&
			echo "$type: a key was overwritten"
	done
	"$build/bin/culverctl" -c "$work/rsa.conf" dkim check example.org \
		other 2>&1 | grep -q 'no dkim line of the configuration' ||
		echo 'a key that is not configured is looked for'
}

# --- requirement ids

id='(STS|RPT|DANE|RTLS|TLS|SMTP|MSG|SUB|EXT|DSN|DKIM)-[0-9A-Z][0-9A-Za-z_.]*(-[0-9A-Z][0-9A-Za-z_.]*)?-[0-9]+'
cited_ids() {
	{ sources; find tests man -type f ! -name '*.tsv' \
		! -path '*/corpus/*' ! -path '*/__pycache__/*'; } |
	xargs grep -oHE "\\b$id\\b" | sort -u
}

ids_known() {
	cut -f 1 tests/conformance.tsv | sort -u >"$work/ids"
	[ "$(wc -l <"$work/ids")" -gt 500 ] ||
		echo "tests/conformance.tsv is not whole"
	cited_ids | awk -F: -v known="$work/ids" '
		BEGIN { while ((getline line < known) > 0) is[line] = 1 }
		!($NF in is) { print $1 " cites " $NF }'
}

# --- traced: no path is opened but those of a program's row

# A build folder whose culverd is the real one under strace.
make_traced_build() {
	local here
	here=$(cd "$build" && pwd)
	mkdir -p "$work/traced/bin" "$work/traces"
	chmod 755 "$work" "$work/traced" "$work/traced/bin"
	chmod 1777 "$work/traces"
	ln -s "$here/libexec" "$work/traced/libexec"
	ln -s "$here/tests" "$work/traced/tests"
	ln -s "$here/bin/culverctl" "$here/bin/sendmail" "$work/traced/bin/"
	cat >"$work/traced/bin/culverd" <<END
#!/bin/bash
# -D: the tracer stands aside, culverd keeps its process and its signals.
exec strace -D -ff -y -qq -e signal=none \\
	-e trace=%file,seccomp,prctl,clone,clone3,fork,vfork \\
	-o $work/traces/trace $here/bin/culverd "\$@"
END
	chmod 755 "$work/traced/bin/culverd"
}

# From all traces: "program NAME", "confined NAME", and "wrong NAME: ..." for
# each path that NAME gave to the kernel after its own filter and that is not
# in its row.  A process that was forked and did not exec is its parent's
# program; if the parent was confined, so is it.
judge_traces() {
	awk '
	FNR == 1 { pid = FILENAME; sub(/.*\./, "", pid); live = 0 }
	# First reading: who each process is, and when its filter stands.
	reading == 1 {
		if ($0 ~ /^exec/ && $0 ~ / = 0$/) {
			name[pid] = $0
			sub(/^execveat\([0-9]+</, "", name[pid])
			sub(/^execve\("/, "", name[pid])
			sub(/[">].*/, "", name[pid])
			sub(/.*\//, "", name[pid])
		} else if ($0 ~ /^(clone3?|v?fork)\(.* = [0-9]+$/) {
			parent[$NF] = pid
			after[$NF] = (pid in filter)
		} else if ($0 ~ /^seccomp\(SECCOMP_SET_MODE_FILTER.*= 0$/ ||
		    $0 ~ /^prctl\(PR_SET_SECCOMP.*= 0$/) {
			if (!(pid in filter))
				filter[pid] = FNR
		}
		next
	}
	function owner(of) {
		while (!(of in name) && (of in parent))
			of = parent[of]
		return name[of]
	}
	function inherited(of) {
		if ((of in name) || !(of in parent))
			return 0
		return after[of] || inherited(parent[of])
	}
	FNR == 1 {
		who = owner(pid)
		from = -1
		if (inherited(pid))
			from = 0
		else if ((pid in filter) && (pid in name))
			from = filter[pid]
		if (pid in name)
			print "program " who
		if (from > 0)
			print "confined " who
	}
	from < 0 || FNR <= from { next }
	# The paths of the call: quoted arguments, empty ones with a
	# descriptor aside; getcwd is told one.
	/^(getcwd|prctl|seccomp|clone|fork|vfork|exit)/ { next }
	{
		call = $0
		sub(/\(.*/, "", call)
		rest = $0
		gsub(/<[^>]*>/, "", rest)
		sub(/\{.*/, "", rest)
		while (match(rest, /"[^"]*"/)) {
			path = substr(rest, RSTART + 1, RLENGTH - 2)
			rest = substr(rest, RSTART + RLENGTH)
			if (path != "" && !may(who, call, path, $0))
				print "wrong " who ": " call " " path
		}
	}
	function may(program, call, path, line) {
		if (program !~ /^culver-(queue|policy|reports)$/)
			return 0
		# Berkeley DB counts processors when an environment is made:
		# in vain.
		if (path == "/sys/devices/system/cpu/online" ||
		    path == "/proc/stat")
			return line ~ /= -1 E(NOENT|ACCES)/
		# It looks at each entry of the folder.
		if (path ~ /^\/*\.\/\.\.$/)
			return call ~ /stat/
		# One folder, which is the root or the place to start from.
		return path !~ /\.\./ &&
		    path !~ /^\/+(proc|sys|dev|etc|usr|lib|var|home|run)\//
	}
	' reading=1 "$work"/traces/trace.* reading=2 "$work"/traces/trace.* |
	sort -u
}

# Why nothing can be traced here, or nothing.
no_trace() {
	[ "$(id -u)" = 0 ] || { echo 'not root'; return; }
	command -v strace >/dev/null || { echo 'strace is missing'; return; }
	strace -qq -o /dev/null true 2>/dev/null ||
		{ echo 'CAP_SYS_PTRACE is missing'; return; }
	unshare --net --mount --pid --fork true 2>/dev/null ||
		echo 'CAP_SYS_ADMIN is missing (unshare --net --mount --pid)'
}

# Scenarios that make every program do all it does.
traced_scenarios='enforce-good cached-record-gone culverctl permanent-refusals
	retry-schedule report-by-mail report-over-https report-by-hand'

play_traced() {
	local name files=
	make_traced_build
	for name in $traced_scenarios; do
		[ -e "tests/scenario/$name.scn" ] ||
			echo "tests/scenario/$name.scn is missing"
		files="$files tests/scenario/$name.scn"
	done
	mkdir -p "$work/tap"
	# shellcheck disable=SC2086
	/usr/bin/python3 tests/run.py --build "$work/traced" --jobs 1 \
		--tap "$work/tap" $files >"$work/played" 2>"$work/played.err" ||
		{ grep '^not ok' "$work/played"; tail -5 "$work/played.err"; }
	judge_traces >"$work/judged"
}

all_were_traced() {
	local name
	for name in culver-smtpd culver-queue culver-sign culver-policy \
	    culver-fetch culver-delivery culver-reports; do
		grep -qx "program $name" "$work/judged" ||
			{ echo "$name did not run"; continue; }
		grep -qx "confined $name" "$work/judged" ||
			echo "$name was not seen to confine itself"
	done
}

no_other_path() {
	sed -n 's/^wrong //p' "$work/judged"
}

# --- the test itself

work=$(mktemp -d "${TMPDIR:-/tmp}/culver-arch.XXXXXX")
if [ -n "${KEEP:-}" ]; then
	echo "# what was made stays in $work"
else
	trap 'rm -rf "$work"' EXIT
fi

check 'nothing else is at the top' top_level
check 'includes across folders are those of the design' includes
check 'Berkeley DB and libevent stand behind one door each' library_headers
check 'no goto' no_goto
check 'no conditional compilation but include guards' no_if
check 'every file says what it is for' head_comments
check 'conf is the closed list of conf/README' conf_closed
check 'the programs are built' programs_exist
check 'no two modules define the same name' symbols_once
check 'every module of conf is in two programs' conf_shared
check 'programs link the libraries of their row' libraries
check 'the manual lists every keyword, and no other' keywords_in_page
check 'keywords of later are refused with "not yet"' later_are_refused
check 'the manual lists every verb, and no other' verbs_in_page
check 'culverctl knows every verb of its table' verbs_known
check 'the manual lists every log event, and no other' events_in_page
check 'log events are those that users rely on' events_known
check 'every log event of this version is written' events_written
check 'a wrong command line is told from a wrong configuration' command_lines
check 'DKIM-8301-3.2-1 culverd -n refuses 512 bits, warns of 1024' \
	keys_are_judged
check 'keys that culverctl makes are taken, and never overwritten' \
	keys_are_made
check 'requirement ids that are cited exist' ids_known
reason=$(no_trace)
if [ -n "$reason" ]; then
	skip 'traced scenarios pass' "$reason"
	skip 'every program was traced past its confinement' "$reason"
	skip 'no path is named but those of a row' "$reason"
else
	check 'traced scenarios pass' play_traced
	check 'every program was traced past its confinement' all_were_traced
	check 'no path is named but those of a row' no_other_path
fi
echo "1..$number"
[ "$failed" -eq 0 ]
