#!/bin/sh
# The leader accepts writes only while the follower is there, which in turn has nothing
# of its own.
set -eu
until test "$(redis-cli -h leader SET ship Argo)" = OK; do sleep 0.1; done
test "$(redis-cli -h leader WAIT 1 20000)" = 1
test "$(redis-cli -h follower -p 6380 GET ship)" = Argo
