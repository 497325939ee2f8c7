# SPDX-License-Identifier: MIT
# What each mechanism costs, in instructions (program and kernel together; for a set-up those of all processes that take part
# in it). It passes when that could be counted: what is cheap enough is for the reader to say. Reads that the kernel leaves to
# a thread (from 6.12 on, of files in memory) are not counted.
# files: src/cli/circlip bench/slices tests/hostile/circlip-unguarded
# seconds: 1800
# long:
# counting:
cat >/tmp/few.yaml <<'END'
ops: [NOP, READ]
END
LEFT='--allow-unenforced setupFlags --allow-unenforced sqpoll'
cat /bin/* /bin/* /bin/* 2>/dev/null | head -c 4194304 >/tmp/file

# median N: of the numbers on stdin, divided by N
median()
{
	grep -v ring | tr ' ' '\n' | grep -E '^[0-9]+$' | sort -n | awk -v by="$1" '{ all[NR] = $1 } END { if (NR) printf "%d", all[int((NR + 1) / 2)] / by }'
}

# count PREFIX...: the line of a way to make rings
count()
{
	line= uncounted=0
	for what in 'nop 1' 'nop 32' 'read 1 /tmp/file' 'read 32 /tmp/file' 'setup 0' 'setup 4096'; do
		case "$what" in
		setup*) number=$(echo 101 | "$@" slices $what 2>/dev/null | median 1) ;;
		*) number=$(for i in 1 2 3 4 5; do echo 640; done | "$@" slices $what 2>>/tmp/err | median 640) ;;
		esac
		[ -n "$number" ] || case "$what" in read*) ;; *) uncounted=1 ;; esac
		line="$line, ${what% /tmp/file} ${number:--}"
	done
	line=${line#, }
}

ways='bare
task=circlip run --policy /tmp/few.yaml --mechanism task
task without the guard=circlip run --policy /tmp/few.yaml --mechanism task '$LEFT'
caller=circlip run --policy /tmp/few.yaml --mechanism caller
caller without its guard=circlip-unguarded run --policy /tmp/few.yaml --mechanism caller
enable=circlip run --policy /tmp/few.yaml --mechanism enable
strip=circlip run --policy /tmp/few.yaml --mechanism strip'
uname -r
echo "$ways" >/tmp/ways
while IFS== read -r name command; do
	if [ -n "$command" ] && ! $command -- true >/tmp/said 2>&1; then
		skip "$name" "$(tail -n 1 /tmp/said)"
		continue
	fi
	count $command ${command:+--}
	echo "$name: $line"
	result $uncounted "$name is counted"
done </tmp/ways
sort /tmp/err | uniq -c
plan
