# SPDX-License-Identifier: MIT
# The attacks of tests/hostile under every mechanism that the kernel has, as root and as nobody, and where nothing protects.
# files: src/cli/circlip tests/hostile/hostile tests/hostile/naive
# seconds: 3600
# long: attacks under emulation take many minutes; tests/hostile makes them on the running kernel
PERCENT=10
[ -z "$SHORT" ] || PERCENT=2
POLICY=/tmp/hostile.yaml
hostile --policy >$POLICY
chmod 644 $POLICY

# tell PREFIX FILE: the attacker's lines as ours
tell()
{
	lines=0
	while IFS= read -r line; do
		text=${line#*ok * - }
		case $line in
		ok*'# SKIP '*) skip "$1: ${text%% *}" "${text#*# SKIP }" ;;
		'ok '*) result 0 "$1: ${text%% *}" ;;
		'not ok '*) result 1 "$1: ${text%% *}" ;;
		*) continue ;;
		esac
		lines=$((lines + 1))
		echo "$text"
	done <"$2"
	[ $lines -gt 0 ]
	result $? "$1: it was attacked"
	[ $lines -gt 0 ] || cat "$2"
}

# attack PREFIX COMMAND...: which may be the way to become somebody else
attack()
{
	prefix=$1
	shift
	"$@" >/tmp/attack.tap 2>&1
	tell "$prefix" /tmp/attack.tap
}

# Fields that nobody keeps, as --dry-run says them; those that it keeps are attacked.
unenforced()
{
	all=
	for field in sqEntries cqEntries workers.bounded workers.unbounded ringsPerContainer setupFlags sqpoll; do
		all="$all --allow-unenforced $field"
	done
	circlip run --dry-run --policy $POLICY --mechanism "$1" $all 2>/tmp/why | sed -n 's/^  \([a-zA-Z.]*\)  *nothing[:,].*/\1/p'
	return 0
}

attack 'control, bare' hostile --control bare --percent 5
attack 'control, no-arch' naive no-arch hostile --control no-arch --percent 20
for mechanism in task caller enable strip; do
	ACCEPT= OPEN=
	for field in $(unenforced $mechanism); do
		ACCEPT="$ACCEPT --allow-unenforced $field"
		[ $field = workers.unbounded ] || OPEN="$OPEN --open $field"
	done
	if ! circlip run --dry-run --policy $POLICY --mechanism $mechanism $ACCEPT >/tmp/said 2>&1; then
		skip "$mechanism" "$(tail -n 1 /tmp/said)"
		continue
	fi
	RUN="circlip run --policy $POLICY --mechanism $mechanism $ACCEPT --log /dev/null --"
	ATTACK="hostile $OPEN --percent $PERCENT"
	attack "$mechanism, as root" $RUN $ATTACK
	[ -n "$SHORT" ] && continue
	# The guard is root's to load: what only that keeps is attacked by one who alone is not root.
	if hostile --nobody circlip run --dry-run --policy $POLICY --mechanism $mechanism $ACCEPT >/dev/null 2>&1; then
		attack "$mechanism, without root" hostile --nobody $RUN $ATTACK
	else
		attack "$mechanism, without root" $RUN hostile --nobody $ATTACK
	fi
done
plan
