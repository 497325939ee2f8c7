# SPDX-License-Identifier: MIT
# The machine itself: what the other guests take for granted.
# files: src/cli/circlip
# seconds: 900
passes 'circlip runs' circlip --version
passes 'io_uring answers' circlip ops
passes 'a cgroup can be made' mkdir /sys/fs/cgroup/test
passes 'the kernel describes its types' test -r /sys/kernel/btf/vmlinux
passes 'the bpf file system is there' mkdir /sys/fs/bpf/test
says 'BPF may hook where security is decided' bpf cat /sys/kernel/security/lsm
fails 'a status is noticed' false
plan
