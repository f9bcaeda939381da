#!/usr/bin/env bash
# Writes the digest of the base image into the Dockerfile, so that the same image is made tomorrow.
set -euo pipefail
dockerfile=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/Dockerfile}

stop() {
  echo "docker/pin.sh: $1" >&2
  exit "$2"
}

image=$(awk '$1 == "FROM" { print $2; exit }' "$dockerfile")
tagged=${image%@*}
[ -n "$tagged" ] || stop "$dockerfile: expected a FROM line, got none; correct it" 2
command -v docker >/dev/null || stop "docker: expected docker on PATH, got none; the base stays at its tag $tagged" 2
digest=$(docker buildx imagetools inspect "$tagged" --format '{{.Manifest.Digest}}' 2>/dev/null) ||
  stop "$tagged: expected a registry that answers, got none; the base stays as it is: $image" 3
[[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || stop "$tagged: expected a digest, got '$digest'; the base stays as it is" 3
sed -i -e "s|^FROM $image\$|FROM $tagged@$digest|" \
  -e "s|^# Base by tag: .*|# Base by digest: docker/pin.sh wrote it on $(date -u +%Y-%m-%d).|" "$dockerfile"
echo "$tagged@$digest"
