# SPDX-License-Identifier: MIT
# The BPF guard: what circlip host applies is what the kernel refuses, and nothing is left of it afterwards.
# files: src/cli/circlip tests/kernels/ring /usr/sbin/bpftool
# seconds: 1800
CG=/sys/fs/cgroup
ROUNDS=2000
[ -z "$SHORT" ] || ROUNDS=300

# Counts of pollers as the host's rule has them.
pollers()
{
	circlip host status | sed -n 's/.*threads now: \([0-9]*\).*/\1/p' | head -n 1
}

becomes()
{
	name=$1 wanted=$2
	shift 2
	i=0
	while [ $i -lt 200 ]; do
		got=$("$@")
		[ "$got" = "$wanted" ] && break
		i=$((i + 1))
	done
	[ "$got" = "$wanted" ]
	result $? "$name"
	[ "$got" = "$wanted" ] || echo "got $got, wanted $wanted"
}

programs()
{
	bpftool prog list | grep -c guard_
}

pins()
{
	ls -A /sys/fs/bpf | wc -l
}

echo 'without the guard'
passes "control: a child that attaches to its parent's poller gets one of its own" ring sqpoll fork sqpoll,attach=0
says 'status: not applied, would work' 'would work here' circlip host status
passes 'control: a large CQ' ring cq=8192
passes 'control: two pollers' ring sqpoll sqpoll
passes 'control: polling for a minute without work' ring sqpoll,idle=60000
fails 'control: parameters can be changed under the kernel' ring race=400
cp /tmp/said /tmp/race
fails 'control: rings that were asked for disabled come enabled' grep 'enabled 0,' /tmp/race
cat /tmp/race
becomes 'probing leaves no program' 0 programs

echo 'sizes'
passes 'apply' circlip host apply --cq-max=1024 --sq-max=256
passes 'again' circlip host apply --cq-max=1024 --sq-max=256
passes 'its programs live on' test "$(programs)" -ge 7
says 'status: in force' 'guard is in force' circlip host status
says 'status: its rule' 'CQ: at most 1024' circlip host status
passes 'a ring within' ring cq=1024,sq=256 plain
says 'too large a CQ is EPERM' '0 EPERM' ring cq=2048
says 'too large an SQ is EPERM' '0 EPERM' ring sq=512
says 'rounding up does not help' '0 EPERM' ring cq=1025
says 'nor does clamping' '0 EPERM' ring clamp,sq=100000
says 'refusals are counted' 'refused: 2 (more CQ' circlip host status
says 'and in JSON' '"cq":2' circlip host status --format=json

echo 'pollers'
passes 'apply again, other rule' circlip host apply --sqpoll=1
passes 'the CQ is free again' ring cq=8192
says 'a second poller is EPERM' '1 EPERM' ring sqpoll sqpoll
says 'attaching to the first is free' '1 ok' ring sqpoll sqpoll,attach=0 sqpoll
says 'but not a poller of its own' '2 EPERM' ring sqpoll sqpoll,attach=0 sqpoll
says "another process's poller is none to attach to" '1 EPERM' ring sqpoll fork sqpoll,attach=0
says 'attaching to no ring is what it always was' '1 ENXIO' ring sqpoll sqpoll,attach=63
says 'attaching to a ring without a poller too' '2 EINVAL' ring sqpoll plain sqpoll,attach=1
passes 'it comes back when its ring is closed' ring sqpoll close=0 alone sqpoll
becomes 'none is left' 0 pollers
mkfifo /tmp/held
ring sqpoll hold >/tmp/held &
holder=$!
{ read -r made; read -r held; } </tmp/held
says 'another process has it' "0 EPERM" ring sqpoll
becomes 'it is counted' 1 pollers
kill -9 $holder
wait $holder 2>/dev/null
becomes 'it comes back when the process is killed' 0 pollers
passes 'and can be had again' ring sqpoll
passes 'the guard goes' circlip host remove
ring sqpoll sqpoll,attach=0 hold >/tmp/held &
holder=$!
{ read -r made; read -r made; read -r held; } </tmp/held
ring plain hold >/tmp/held &
other=$!
{ read -r made; read -r held; } </tmp/held
passes 'and comes back' circlip host apply --sqpoll=2
becomes 'a poller that was there before is counted' 1 pollers
passes 'applying again' circlip host apply --sqpoll=2
becomes 'counts it once' 1 pollers
says 'there is room for one more' '1 EPERM' ring sqpoll sqpoll
kill -9 $holder $other
wait $holder $other 2>/dev/null
becomes 'it is given back too' 0 pollers
passes 'per CPU' circlip host apply --sqpoll-per-cpu=1
says 'two CPUs, two pollers' 'SQPOLL: at most 2' circlip host status
says 'a third is EPERM' '2 EPERM' ring sqpoll sqpoll sqpoll
says 'two on one CPU are EPERM' '1 EPERM' ring sqpoll,sq_aff,cpu=0 sqpoll,sq_aff,cpu=0
passes 'two on two CPUs are not' ring sqpoll,sq_aff,cpu=0 sqpoll,sq_aff,cpu=1
becomes 'all are given back' 0 pollers
passes 'idle' circlip host apply --idle-max=100
says 'a second of spinning is EPERM' '0 EPERM' ring sqpoll
passes 'a tenth is not' ring sqpoll,idle=100
passes 'none' circlip host apply --sqpoll=0
says 'not even one' '0 EPERM' ring sqpoll

echo 'flags'
passes 'IOPOLL is denied' circlip host apply --deny-setup=IOPOLL
says 'it is EPERM' '0 EPERM' ring iopoll
passes 'others are not' ring sqpoll
passes 'disabled ones only' circlip host apply --require-disabled
says 'an enabled ring is EPERM' '0 EPERM' ring plain
passes 'a disabled one is not' ring disabled
says 'what failed late leaves nothing' '0 EPERM' ring spoil=50 plain
passes 'disabled and small ones only' circlip host apply --require-disabled --cq-max=64
passes 'parameters changed under the kernel do not help' ring race=$ROUNDS
cat /tmp/said
cat >/tmp/policy.yaml <<'EOF'
defaultAction: deny
ops: [READ]
cqEntries: 128
setupFlags: [CQSIZE]
EOF
says 'a policy: what is not kept is told' 'not kept by the guard: ops' circlip host apply --policy=/tmp/policy.yaml --sq-max=32
passes 'what it allows' ring cq=128,sq=32
says 'what it denies' '0 EPERM' ring cq=256
says 'what is said beside it' '0 EPERM' ring sq=64
says 'what it does not speak of' '0 EPERM' ring iopoll
says 'and no poller' '0 EPERM' ring sqpoll
passes 'no rings' circlip host apply --deny-rings
says 'a ring is EPERM' '0 EPERM' ring plain
says 'status: in force, though it got no ring either' 'guard is in force' circlip host status

echo 'cgroups'
mkdir -p $CG/a/b $CG/c
in_group()
{
	group=$1
	shift
	sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$CG/$group" "$@"
}
passes 'remove, then a cgroup' circlip host remove
passes 'apply' circlip host apply --cgroup=$CG/a --cq-max=64 --sqpoll=1
passes 'who is outside is free' ring cq=128
passes 'who is beside it, too' in_group c ring cq=128
says 'who is in it is not' '0 EPERM' in_group a ring cq=128
says 'nor who is below' '0 EPERM' in_group a/b ring cq=128
passes 'a rule below' circlip host apply --cgroup=$CG/a/b --cq-max=4096
says 'does not loosen' '0 EPERM' in_group a/b ring cq=128
in_group a ring sqpoll hold >/tmp/held &
holder=$!
{ read -r made; read -r held; } </tmp/held
passes 'apply again' circlip host apply --cgroup=$CG/a --cq-max=64 --sqpoll=1
says 'its poller is charged to it' '0 EPERM' in_group a/b ring sqpoll
passes 'and to nobody else' ring sqpoll sqpoll
kill -9 $holder
wait $holder 2>/dev/null
says 'status names it' "$CG/a: " circlip host status
says 'status counts for it' '(more CQ' circlip host status
passes 'remove one' circlip host remove --cgroup=$CG/a/b
passes 'remove the other' circlip host remove --cgroup=$CG/a
passes 'who is in it is free again' in_group a ring cq=128
says 'a folder is no cgroup' 'is no cgroup' circlip host apply --cgroup=/tmp --cq-max=64
says 'a cgroup without a rule is refused' 'say also what' circlip host apply --cgroup=$CG/a

echo 'leaving'
passes 'apply once more' circlip host apply
passes 'remove' circlip host remove
passes 'remove again' circlip host remove
becomes 'no program is left' 0 programs
becomes 'no pin is left' 0 pins
passes 'rings are what they were' ring cq=8192 sqpoll sqpoll
says 'without root it says what it lacks' 'CAP_BPF and CAP_PERFMON' su nobody -s /bin/sh -c 'circlip host apply'
plan
