#!/bin/sh
# Makes the lock files anew from pyproject.toml and requirements/*.in. Needs uv (it is in the test lock).
set -eu
cd "$(dirname "$0")/.."
compile() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-annotate --no-header "$@"
}
compile pyproject.toml requirements/build.in --output-file requirements/run.lock
compile pyproject.toml requirements/build.in requirements/test.in --output-file requirements/test.lock
compile requirements/iso15118.in --output-file requirements/iso15118.lock
compile requirements/pyslac.in --output-file requirements/pyslac.lock
compile --no-deps requirements/profiles.in --output-file requirements/profiles.lock
compile --no-deps requirements/homeassistant.in --output-file requirements/homeassistant.lock
