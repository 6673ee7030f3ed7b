#!/usr/bin/env bash
# Brings a release to its servers.
set -euo pipefail

readonly TARGET="${1:-staging}"

log() {
  printf '%s %s\n' "$(date +%T)" "$*" >&2
}

# Copies the build to one server.
function upload {
  local host="$1"
  rsync -a build/ "$host:/srv/shop"
}

function restart() (
  ssh "$1" 'systemctl restart shop'
)

main() {
  for host in $(hosts "$TARGET"); do
    upload "$host" && restart "$host" || log "failed: $host"
  done
}

main "$@"
