#!/bin/sh
# Makes the virtual environment FOLDER hold exactly what LOCK_FILE says, with byte code.
# Usage: install-locked FOLDER LOCK_FILE [UNCOMPILED]
#
# Byte code is made here because nothing can be written later, and hash-based, so that it stays
# valid whatever a build tool does to the files' times. UNCOMPILED is a regular expression of paths
# that no program of the image imports in its normal course: they work, only slower.
#
# Packages that /opt/numeric has in the same version are taken from there: they are the largest, and
# several images share that layer.
set -eu
export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
export UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
uv=/opt/tools/bin/uv
base_python=$(PATH=/usr/local/bin:/usr/bin:/bin command -v python3)
$uv venv --quiet --python "$base_python" "$1"
$uv pip install --quiet --python "$1" --require-hashes --no-deps --requirements "$2"
for installed in "$1"/lib/python3.*/site-packages/*.dist-info; do
    shared=/opt/numeric/$(basename "$installed")
    if [ -d "$shared" ]; then
        $uv pip uninstall --quiet --python "$1" "$(basename "$installed" | cut -d- -f1)"
        echo /opt/numeric > "$(dirname "$installed")/numeric.pth"
    fi
done
"$1/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash \
    -x "/tests?/${3:+|$3}" "$1"/lib/python3.*/site-packages
