# SPDX-License-Identifier: MIT
# `circlip agent` with a container by runc, whose program makes its rings itself where the guard loads.
# files: src/cli/circlip tests/agent/probe /usr/sbin/runc
# seconds: 900
# long:
mkdir -p /tmp/c/rootfs/bin /tmp/c/rootfs/proc /tmp/c/rootfs/dev /tmp/c/rootfs/sys /sys/fs/cgroup
cp /bin/probe /tmp/c/rootfs/bin/
mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null
cat >/tmp/few.yaml <<'END'
ops: [NOP, READ]
sqpoll: { allowed: true, perContainer: 1, perCpu: false, maxIdleMs: 50 }
END
# container WORD...: its results in /tmp/out
container()
{
	words=
	for word in "$@"; do words="$words, \"$word\""; done
	cat >/tmp/base.json <<END
{"ociVersion": "1.0.2", "root": {"path": "rootfs"}, "process": {"args": ["/bin/probe"$words], "cwd": "/", "user": {"uid": 0, "gid": 0},
 "noNewPrivileges": true, "env": ["PATH=/bin"]}, "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
 "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]}}
END
	circlip agent profile --runtime runc --base /tmp/base.json --policy /tmp/few.yaml --socket /tmp/agent.sock --metadata x >/tmp/c/config.json 2>/tmp/said &&
		runc --root /tmp/runc run --no-pivot --bundle /tmp/c "$id" >/tmp/out 2>&1
}

# event NAME: waits until the log has it
event()
{
	for i in $(seq 300); do
		grep -sq "\"event\":\"$1\"" /tmp/log && return
		sleep 0.1
	done
	return 1
}

circlip agent --listen /tmp/agent.sock --control /tmp/control.sock --policy /tmp/few.yaml --allow-unenforced sqpoll --log /tmp/log &
agent=$!
event agent-begun
result $? 'the agent begins'
id=one
container ring nop socket sqpoll resize
grep -q '^ring 0$' /tmp/out && grep -q '^nop 0$' /tmp/out && grep -q '^socket -13$' /tmp/out && ! grep -q '^resize 0$' /tmp/out
result $? 'a container has rings, and only what it may'
cat /tmp/out
tail -n 3 /tmp/log

id=two
container wait ring sqpoll socket &
run=$!
until grep -sq '^waiting' /tmp/out && [ "$(grep -c container-begun /tmp/log)" = 2 ]; do sleep 0.1; done
kill -9 "$(sed -n 's/.*container-begun.*"worker":\([0-9]*\).*/\1/p' /tmp/log | tail -n 1)"
event worker-revived
result $? 'a worker that was killed is followed by another'
runc --root /tmp/runc kill "$id" USR1
wait $run
grep -q '^ring 0$' /tmp/out && grep -q '^sqpoll [0-9]' /tmp/out && grep -q '^socket -13$' /tmp/out
result $? 'which goes on under the guard'
cat /tmp/out
grep -h worker /tmp/log | tail -n 3
kill $agent
plan
