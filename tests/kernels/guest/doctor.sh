# SPDX-License-Identifier: MIT
# What doctor says of Debian's kernels, and of the sysctl, which only a machine of its own may switch off.
# files: src/cli/circlip tests/doctor/under
# seconds: 900
circlip doctor >/tmp/text
cat /tmp/text
circlip doctor --json >/tmp/json
grep -q '"name":"ring","mark":"good"' /tmp/json
result $? "a ring can be made"
grep '"name":"kernel"' /tmp/json | grep -q 'of Debian, from upstream'
result $? "Debian's kernel is named with the release it was built from"
version=$(uname -r)

# The self-test of CVE-2026-80713, and its control, only mean something where a process can be restricted.
case $version in
[7-9].*)
	grep -q '"name":"task-restrictions","mark":"good"' /tmp/json
	result $? "a process can be restricted"
	grep -qE '"name":"task-restrictions-exec","mark":"(good|plain)"' /tmp/json
	result $? "whether restrictions survive execve was found out"
	grep '"name":"task-restrictions-exec"' /tmp/json
	;;
*)
	grep -q '"name":"task-restrictions","mark":"plain"' /tmp/json
	result $? "a process cannot be restricted before 7.0"
	;;
esac

# What doctor says can be used is what run and host then use.
echo 'ops: [NOP]' >/tmp/nop.yaml
mechanisms='task caller enable strip'
[ -z "$SHORT" ] || mechanisms=strip
for mechanism in $mechanisms; do
	grep -q "\"name\":\"$mechanism\",\"mark\":\"good\"" /tmp/json
	said=$?
	LEFT=
	[ $mechanism = task ] && LEFT='--allow-unenforced setupFlags --allow-unenforced sqpoll'
	circlip run --policy /tmp/nop.yaml --mechanism $mechanism $LEFT -- true >/tmp/said 2>&1
	ran=$?
	[ $((said == 0)) = $((ran == 0)) ]
	result $? "what is said of $mechanism is so ($ran)"
done
grep '"name":"host"' /tmp/json

mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null
if [ -e /sys/fs/cgroup/cgroup.subtree_control ]; then
	echo '+memory +pids +cpu' >/sys/fs/cgroup/cgroup.subtree_control
	mkdir -p /sys/fs/cgroup/upper/lower
	echo 67108864 >/sys/fs/cgroup/upper/memory.max
	echo '150000 100000' >/sys/fs/cgroup/upper/cpu.max
	echo 77 >/sys/fs/cgroup/upper/pids.max
	sleep 1000 &
	echo $! >/sys/fs/cgroup/upper/lower/cgroup.procs
	circlip doctor --json --pid $! >/tmp/said
	grep -q '64 MiB' /tmp/said && grep -q '1500 thousandths' /tmp/said && grep -q '77 processes' /tmp/said
	result $? "limits further up in the unified hierarchy are found"
	kill $!
else
	skip "limits further up in the unified hierarchy are found" "it cannot be mounted"
fi

if [ -e /proc/sys/kernel/io_uring_disabled ]; then
	echo 2 >/proc/sys/kernel/io_uring_disabled
	says "a sysctl of 2 is told" "EPERM: sysctl kernel.io_uring_disabled is 2, which forbids new rings to everybody" circlip doctor --json
	says "its fix is named" "--fix sysctl)" circlip doctor
	says "nothing is exposed then" "0.0 PERFECT" circlip doctor
	echo 1 >/proc/sys/kernel/io_uring_disabled
	says "a sysctl of 1 lets CAP_SYS_ADMIN in" "a ring was made here" circlip doctor
	under memlock -- circlip doctor --json >/tmp/said
	grep -q "EPERM: sysctl kernel.io_uring_disabled is 1: only CAP_SYS_ADMIN" /tmp/said
	result $? "and nobody else"
	echo 65534 >/proc/sys/kernel/io_uring_group
	under memlock -- circlip doctor --json >/tmp/said
	grep -q '"name":"sysctl","mark":"good","text":"kernel.io_uring_disabled is 1' /tmp/said && ! grep -q "EPERM: sysctl" /tmp/said
	result $? "but the group"
	echo -1 >/proc/sys/kernel/io_uring_group
	echo 0 >/proc/sys/kernel/io_uring_disabled
else
	skip "the sysctl" "there is none before 6.6"
fi

mkfifo /tmp/in
under eperm -- - </tmp/in >/tmp/ready &
exec 9>/tmp/in
until grep -q ready /tmp/ready; do :; done
says "a process is judged by its filters" "io_uring_setup with ERRNO(EPERM)" circlip doctor --pid $!
exec 9>&-
plan
