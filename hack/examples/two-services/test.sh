#!/bin/sh
# The leader accepts writes only while the follower is there, which in turn has nothing
# of its own. What WAIT waits for is what was written over the same connection.
set -eu
written() { printf 'SET ship Argo\nWAIT 1 20000\n' | redis-cli -h leader | tr '\n' ' '; }
until test "$(written)" = "OK 1 "; do sleep 0.1; done
test "$(redis-cli -h follower -p 6380 GET ship)" = Argo
