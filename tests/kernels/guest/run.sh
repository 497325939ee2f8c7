# SPDX-License-Identifier: MIT
# `circlip run` under every mechanism that the kernel has.
# files: src/cli/circlip tests/run/rings tests/kernels/ring
# seconds: 1800
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
	# What the task's own restrictions do not keep, the guard does where it loads.
	[ $mechanism = task ] && ! circlip run --dry-run --policy /tmp/few.yaml --mechanism task >/tmp/said 2>&1 && LEFT='--allow-unenforced setupFlags --allow-unenforced sqpoll'
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
echo 'the guard beside them'
if circlip host status 2>/dev/null | grep -q 'would work here'; then
	cat /tmp/few.yaml - >/tmp/poller.yaml <<'END'
sqpoll: { allowed: true, perContainer: 1, perCpu: false, maxIdleMs: 50 }
setupFlags: [CQSIZE]
cqEntries: 64
END
	for mechanism in task caller; do
		circlip run --dry-run --policy /tmp/poller.yaml --mechanism $mechanism >/tmp/said 2>&1 || {
			skip "$mechanism: with the guard" "$(tail -n 1 /tmp/said)"
			continue
		}
		RUN="circlip run --policy /tmp/poller.yaml --mechanism $mechanism --log /tmp/log --"
		passes "$mechanism: one poller" $RUN ring sqpoll,idle=20
		fails "$mechanism: no second one" $RUN ring sqpoll,idle=20 sqpoll,idle=20
		says "$mechanism: nor a flag that is not allowed" EPERM $RUN ring iopoll
		ls -d /sys/fs/cgroup/circlip-* 2>/dev/null
		[ -z "$(ls -d /sys/fs/cgroup/circlip-* 2>/dev/null)" ]
		result $? "$mechanism: no cgroup is left"
		[ "$(circlip host status | grep -c 'would work here')" = 1 ]
		result $? "$mechanism: no guard is left"
	done
	fails 'task: a spinning poller is refused' circlip run --policy /tmp/poller.yaml --mechanism task -- ring sqpoll,idle=60000
	circlip run --dry-run --policy default | grep '^mechanism'
	circlip run --dry-run --policy default | grep '^mechanism: \(task\|caller\) ' >/tmp/said
	result $? 'a curated profile gets the strongest mechanism by itself'
else
	skip 'the guard' 'it does not load here'
fi
plan
