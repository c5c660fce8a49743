#!/bin/sh
test "$(cat /srv/greeting)" = ahoy
