# SPDX-License-Identifier: MIT
# `circlip run` under every mechanism that the kernel has.
# files: src/cli/circlip tests/run/rings
# seconds: 300
FEW='ops: [NOP, READ]
registerOps: [REGISTER_BUFFERS, REGISTER_FILES]
'
echo "$FEW" >/tmp/few.yaml
SINGLE_ISSUER=4096 DEFER=12288

# keeps NAME MECHANISM COMMAND...: what is allowed works, what is denied does not
keeps()
{
	name=$1 mechanism=$2
	shift 2
	circlip run --policy /tmp/few.yaml --mechanism "$mechanism" $LEFT -- "$@" >/tmp/said 2>&1
	status=$?
	for key in nop nop-async read register-buffers register-files; do
		grep -q "^$key ok$" /tmp/said || status="$key"
	done
	for key in openat socket personality workers resize resize-bit31 msg-ring; do
		grep -q "^$key EACCES$" /tmp/said || status="$key"
	done
	[ "$status" = 0 ]
	result $? "$mechanism: $name"
	[ "$status" = 0 ] || { echo "$status"; cat /tmp/said; }
}

uname -r
circlip run --dry-run --policy /tmp/few.yaml
for mechanism in task caller enable strip; do
	LEFT=
	[ $mechanism = task ] && LEFT='--allow-unenforced setupFlags --allow-unenforced sqpoll'
	if ! circlip run --dry-run --policy /tmp/few.yaml --mechanism $mechanism $LEFT >/tmp/said 2>&1; then
		skip "$mechanism" "$(tail -n 1 /tmp/said)"
		continue
	fi
	keeps 'a plain ring' $mechanism rings try 0 8 0
	keeps 'a ring of one issuer' $mechanism rings try $SINGLE_ISSUER 8 0
	keeps 'with work deferred' $mechanism rings try $DEFER 8 0
	keeps 'a disabled ring' $mechanism rings enable 0
	keeps 'a child' $mechanism rings fork
	keeps 'what it executes' $mechanism rings exec
	circlip run --policy /tmp/few.yaml --mechanism $mechanism $LEFT -- rings threads 4 20 >/tmp/said 2>&1
	grep -q '^failed 0$' /tmp/said && grep -q '^escaped 0$' /tmp/said
	result $? "$mechanism: threads"
	grep -q '^failed 0$' /tmp/said || cat /tmp/said
done
plan
