#!/bin/sh
# Tells a gateway on another machine how this one is. It only reads, takes no input, and needs no root.
# `docs/machine.md` has the line for ~/.ssh/authorized_keys that lets a key do this and nothing else.
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH
export LC_ALL PATH

# A program that hangs in a driver must not keep the rest waiting.
within() {
    if command -v timeout >/dev/null 2>&1; then timeout -k 1 5 "$@"; else "$@"; fi
}

echo '=== meminfo'
cat /proc/meminfo
echo '=== pressure'
cat /proc/pressure/memory 2>/dev/null
echo '=== loadavg'
cat /proc/loadavg
echo '=== stat'
grep '^cpu' /proc/stat
echo '=== uptime'
cat /proc/uptime
echo '=== df'
within df -kP / 2>/dev/null
echo '=== xids'
{ within dmesg || within journalctl -k -b -n 1000 -o short-monotonic --no-pager; } 2>/dev/null |
    grep 'NVRM: Xid' | tail -n 20
if ! command -v nvidia-smi >/dev/null 2>&1; then
    echo '=== gpu-status'
    echo 127
else
    echo '=== gpus'
    within nvidia-smi --query-gpu=name,utilization.gpu,temperature.gpu,power.draw,memory.used,memory.total \
        --format=csv,noheader,nounits 2>&1
    status=$?
    echo '=== gpu-status'
    echo "$status"
    if [ "$status" -eq 0 ]; then
        echo '=== processes'
        within nvidia-smi --query-compute-apps=pid,process_name,used_memory --format=csv,noheader,nounits 2>&1
    fi
fi
echo '=== end'
