# SPDX-License-Identifier: MIT
# TAP for the guests' scripts; put in front of each of them.
n=0

# result STATUS NAME: passes when the status is 0
result()
{
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}

# passes NAME COMMAND... and fails NAME COMMAND...: what it says is shown when it disappoints
passes()
{
	name=$1
	shift
	"$@" >/tmp/said 2>&1
	status=$?
	result $status "$name"
	[ $status = 0 ] || { echo "status $status of: $*"; cat /tmp/said; }
}

fails()
{
	name=$1
	shift
	"$@" >/tmp/said 2>&1
	status=$?
	[ $status != 0 ]
	result $? "$name"
	[ $status != 0 ] || { echo "status 0 of: $*"; cat /tmp/said; }
}

# says NAME TEXT COMMAND...: its output holds the text, whatever its status
says()
{
	name=$1 text=$2
	shift 2
	"$@" >/tmp/said 2>&1
	grep -qF -- "$text" /tmp/said
	status=$?
	result $status "$name"
	[ $status = 0 ] || { echo "no \"$text\" from: $*"; cat /tmp/said; }
}

skip()
{
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

plan()
{
	echo "1..$n"
}
