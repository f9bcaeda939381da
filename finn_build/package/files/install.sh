#!/usr/bin/env bash
# Puts this package to work on the board: checks what it needs, links the notebook, runs the self-test.
# Usage, in the package's folder on the board:  sudo ./install.sh
# shellcheck disable=SC1091  # files of the board's image
set -euo pipefail
cd "$(dirname "$0")"

fail() {
  echo "install: $*" >&2
  exit 2
}

# The board's own environment: PYNQ 3 keeps it here, and XRT is found through these variables.
venv=/usr/local/share/pynq-venv
[ -r /etc/profile.d/pynq_venv.sh ] && { set +u; . /etc/profile.d/pynq_venv.sh; set -u; }
[ -r /etc/profile.d/xrt_setup.sh ] && { set +u; . /etc/profile.d/xrt_setup.sh; set -u; }
python="${PYTHON:-$venv/bin/python3}"
[ -x "$python" ] || python="$(command -v python3)" || fail "expected Python 3.10, got none; use PYNQ's image for the PYNQ-Z2"

"$python" - <<'CHECK' || fail "use the image PYNQ 3.1 for the PYNQ-Z2"
import sys
if sys.version_info < (3, 10):
    sys.exit(f"install: expected Python 3.10 or newer, got {sys.version.split()[0]}")
for name in ("numpy", "pynq"):
    try:
        __import__(name)
    except ImportError as error:
        sys.exit(f"install: expected the package {name}, got none ({error})")
CHECK

[ "$(id -u)" = 0 ] || [ "${INSTALL_AS_USER:-}" = 1 ] || fail "expected root, since programming the chip needs it; run: sudo ./install.sh"

# Where the board's Jupyter looks, if it runs.
notebooks="${PYNQ_JUPYTER_NOTEBOOKS:-/home/xilinx/jupyter_notebooks}"
if [ -d "$notebooks" ]; then
  ln -sfn "$PWD" "$notebooks/@CONFIG@"
  echo "notebook: @CONFIG@/cam_board.ipynb in Jupyter"
fi

exec "$python" -m cam_board selftest --out selftest.json "$@"
