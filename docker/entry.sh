#!/usr/bin/env bash
# Inside the container: AMD's settings, then what was asked for, with the mounted project's sources.
set -euo pipefail
# AMD's scripts read variables that may not be set.
set +u
for tool in ${FINN_CAM_TOOLS:-}; do
  # shellcheck disable=SC1091  # known where the tools are mounted alone
  source "$tool/settings64.sh"
done
set -u
mkdir -p "$HOME"
export PYTHONPATH="$PWD" PYTHONDONTWRITEBYTECODE=1
exec "$@"
