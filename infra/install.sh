#!/usr/bin/env bash
# Makes .venv with the locked environment. Safe to run again: it does nothing when the lock is
# unchanged. pip's own configuration (index, proxy, certificates) is honoured.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-}
if [ -z "$python" ]; then
  for candidate in python3.11 python3 python; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
      python=$candidate
      break
    fi
  done
fi
if [ -z "$python" ]; then
  echo "install: Python 3.11 was not found. Install it (Debian 12: apt-get install python3 python3-venv) or set PYTHON." >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  echo "install: $python has no venv module. On Debian or Ubuntu: apt-get install python3-venv (or python3.11-venv)." >&2
  exit 1
fi

stamp=.venv/installed.sha256
wanted=$(cat requirements.lock pyproject.toml infra/install.sh | sha256sum | cut -d' ' -f1)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x .venv/bin/mmedagent ]; then
  exit 0
fi

echo "install: making .venv with $("$python" --version) and $(grep -c '==' requirements.lock) locked packages"
rm -f "$stamp"
[ -x .venv/bin/python ] || "$python" -m venv .venv
pip=(.venv/bin/python -m pip --disable-pip-version-check install --quiet --no-deps)

# CPU torch first, from the configured indexes if they carry the CPU build, else from PyTorch's own:
# the plain name on PyPI brings gigabytes of CUDA.
grep -A1 '^torch==' requirements.lock >.venv/torch.lock
"${pip[@]}" --require-hashes -r .venv/torch.lock 2>.venv/torch.log ||
  "${pip[@]}" --require-hashes -r .venv/torch.lock --extra-index-url https://download.pytorch.org/whl/cpu

# The rest needs no resolver: the lock is complete, and every file is pinned by hash.
awk '/^torch==/ {skip = 1; next} skip && /^    / {next} {skip = 0; print}' requirements.lock >.venv/rest.lock
"${pip[@]}" --require-hashes -r .venv/rest.lock
"${pip[@]}" --no-build-isolation --editable .
echo "$wanted" >"$stamp"
echo "install: done"
