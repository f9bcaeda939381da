#!/usr/bin/env bash
# Builds CONFIG in the container, with this machine's Vivado and Vitis HLS: docker/run.sh CONFIG [finn-cam options…]
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
versions="2024.2 2022.2"

stop() {
  echo "docker-build: $1" >&2
  exit "${2:-2}"
}

[ $# -ge 1 ] || stop "expected a config, got nothing; give CONFIG=NAME"
config=$1
shift
case $config in
  /*) [[ $config == "$project"/* ]] || stop "$config: expected a config below $project, got one outside; the container sees the project alone" ;;
esac
command -v docker >/dev/null || stop "docker: expected docker on PATH, got none; install it, or build without: make build CONFIG=$config"
docker version >/dev/null 2>&1 || stop "docker: expected a daemon that answers, got none; start it, and let $(id -un) use it" 3

# The tools: of XILINX_VIVADO, else below XILINX_ROOT, else where their installer puts them.
vivado=
hls=
if [ -n "${XILINX_VIVADO:-}" ]; then
  roots=$(dirname "$(dirname "$XILINX_VIVADO")")
  versions=$(basename "$XILINX_VIVADO")
else
  roots="${XILINX_ROOT:-/tools/Xilinx /opt/Xilinx}"
fi
for version in $versions; do
  for root in $roots; do
    if [ -f "$root/Vivado/$version/settings64.sh" ] && [ -f "$root/Vitis_HLS/$version/settings64.sh" ]; then
      vivado=$root/Vivado/$version
      hls=$root/Vitis_HLS/$version
      break 2
    fi
  done
done
[ -n "$vivado" ] || stop "Vivado and Vitis HLS: expected version ${versions// / or } below ${roots// / or }, got none; set XILINX_ROOT to the folder that holds Vivado/ and Vitis_HLS/"

# An image a Dockerfile and lock file: a change of either makes a new one.
inputs=(docker/Dockerfile docker/entry.sh requirements.lock finn_build/vendor/deps.py)
tag=finn-cam:$(cd "$project" && cat "${inputs[@]}" | sha256sum | cut -c1-12)
if ! docker image inspect "$tag" >/dev/null 2>&1; then
  echo "docker-build: making the image $tag; this downloads about 1 GB, once" >&2
  docker build --tag "$tag" --file "$project/docker/Dockerfile" "$project" || stop "the image could not be made; see above" 3
fi

arguments=(--rm --init --user "$(id -u):$(id -g)" --env HOME=/tmp/home)
arguments+=(--volume "$project:$project:rw" --workdir "$project")
arguments+=(--volume "$vivado:$vivado:ro" --volume "$hls:$hls:ro" --env "FINN_CAM_TOOLS=$vivado $hls")
# The free edition needs no licence; one that is set is passed on, its file mounted, and its server reachable.
network=none
for name in XILINXD_LICENSE_FILE LM_LICENSE_FILE; do
  value=${!name:-}
  [ -n "$value" ] || continue
  arguments+=(--env "$name=$value")
  network=host
  IFS=: read -ra places <<<"$value"
  for place in "${places[@]}"; do
    case $place in
      "" | *@*) ;;
      *)
        [ -e "$place" ] || stop "$name: expected a licence file or port@host, got $place, which does not exist; correct or unset it"
        place=$(realpath "$place")
        arguments+=(--volume "$place:$place:ro")
        ;;
    esac
  done
done
arguments+=(--network "$network")
if [ -n "${FINN_CAM_DATA:-}" ]; then
  data=$(realpath "$FINN_CAM_DATA")
  arguments+=(--volume "$data:$data:ro" --env "FINN_CAM_DATA=$data")
fi
if [ -t 1 ]; then
  arguments+=(--tty)
fi
exec docker run "${arguments[@]}" "$tag" python -m finn_build.cli build "$config" "$@"
