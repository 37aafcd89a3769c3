#!/bin/sh
# Sets up everything that `make run` (setup.sh run) or `make test` (setup.sh test) needs, on a bare Debian machine with
# Python 3.11, make and pip. As root it installs what is missing with apt; otherwise it stops and says which line to run.
# It does nothing when all is in place already.
set -eu
cd "$(dirname "$0")/.."
goal=${1:-run}
python=${PYTHON:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "pilotwire: Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2
    exit 1
}

missing=
command -v node >/dev/null 2>&1 || missing="$missing nodejs"
command -v npm >/dev/null 2>&1 || missing="$missing npm"
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
if [ "$goal" = test ]; then
    [ -x /usr/bin/chromium-headless-shell ] || missing="$missing chromium-headless-shell"
    command -v git >/dev/null 2>&1 || missing="$missing git"
    command -v strace >/dev/null 2>&1 || missing="$missing strace"
    command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
    command -v mbpoll >/dev/null 2>&1 || missing="$missing mbpoll"
    [ -x /usr/sbin/mosquitto ] || missing="$missing mosquitto"
    command -v ip >/dev/null 2>&1 || missing="$missing iproute2"
    command -v java >/dev/null 2>&1 || missing="$missing default-jre-headless"
fi
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        echo "pilotwire: installing$missing"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        # shellcheck disable=SC2086
        apt-get install -y -qq --no-install-recommends $missing >/dev/null
    else
        echo "pilotwire: these Debian packages are missing; run:" >&2
        echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
        exit 1
    fi
fi

lock=requirements/$goal.lock
peers="iso15118 pyslac"
# These need only a part of what their packages ask for; the lock files name it.
parts="profiles homeassistant"
stamp=.venv/.$goal-$(cat "$lock" requirements/*.lock pyproject.toml package-lock.json tools/build_frontend.py | sha256sum | cut -c1-16)
[ -e "$stamp" ] && exit 0

echo "pilotwire: setting up .venv ($goal); the first time takes a minute or two"
install() { # of a virtual environment, from a lock file; what else is given goes to pip
    home=$1 lock_file=$2
    shift 2
    # One pip serves them all: to put it into each takes longer than most of what is installed there.
    [ -x "$home/bin/python" ] || "$python" -m venv --without-pip "$home"
    .venv/bin/python -m pip --python "$home/bin/python" install --quiet --disable-pip-version-check --require-hashes \
        "$@" --requirement "$lock_file"
}
[ -x .venv/bin/python ] || "$python" -m venv .venv
under_way=
if [ "$goal" = test ]; then
    # Beside one another, for most of it is waiting. The pins of these packages clash with ours, and with one another's.
    for peer in $peers; do
        install ".venv/$peer" "requirements/$peer.lock" --no-compile &
        under_way="$under_way $!"
    done
    for peer in $parts; do
        install ".venv/$peer" "requirements/$peer.lock" --no-compile --no-deps &
        under_way="$under_way $!"
    done
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error &
    under_way="$under_way $!"
fi
install .venv "$lock"
for one in $under_way; do
    wait "$one"
done
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
rm -f .venv/."$goal"-*
touch "$stamp"
