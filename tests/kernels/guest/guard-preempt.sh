# SPDX-License-Identifier: MIT
# A kernel that may be preempted anywhere passes over a program that is already running on the CPU. What the guard did not see it must
# not let through, nor take for what it saw before.
# files: src/cli/circlip tests/kernels/ring /usr/sbin/bpftool
# append: preempt=full
ROUNDS=1000
[ -z "$SHORT" ] || ROUNDS=200
says 'control: enabled rings can be made' 'made 80' ring storm=10
says 'control: many pollers can be made' 'made 24' ring keep=3
passes 'disabled ones only' circlip host apply --require-disabled
says 'no enabled ring in a storm of them' 'made 0' ring storm=$ROUNDS
passes 'a disabled one can still be had' ring disabled
circlip host status
if bpftool prog list | grep -q recursion_misses; then
	passes 'some were passed over' true
else
	skip 'some were passed over' 'the storm was too tame: the guard saw all of them'
fi
bpftool prog list | grep recursion_misses
passes 'three pollers' circlip host apply --sqpoll=3
i=0
while [ $i -lt 5 ]; do
	ring keep=$((ROUNDS / 10)) | tee /tmp/made
	grep -q '^made [0-3]$' /tmp/made
	result $? "no more than three in a storm of them, time $i"
	ring alone
	i=$((i + 1))
done
circlip host status
plan
