#!/bin/sh
#
# The image's test: it runs in the built image, instead of its start command.
set -eu

exec python -m pytest -q -p no:cacheprovider tests
