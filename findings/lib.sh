# Read by every script here: a folder and a network that are gone at exit, pinned packages, and the report.
work=$(mktemp -d)
children=() namespaces=() mounts=()

tidy() {
  local status=$? one
  trap - EXIT
  for one in "${children[@]}"; do kill "$one" 2>/dev/null || true; done
  for _ in {1..30}; do
    jobs -pr | grep -q . || break
    sleep 0.1
  done
  for one in "${children[@]}"; do kill -KILL "$one" 2>/dev/null || true; done
  wait 2>/dev/null || true
  for one in "${namespaces[@]}"; do ip netns del "$one" 2>/dev/null || true; done
  for one in "${mounts[@]}"; do umount "$one" 2>/dev/null || true; done
  chmod -R u+w "$work"
  rm -rf "$work"
  exit "$status"
}
trap tidy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cannot() { printf 'cannot run: %s\n' "$*" >&2; exit 2; } # not a verdict on the tool
changed() { printf 'CHANGED: %s\n' "$*"; exit 1; }
holds() { printf 'HOLDS: %s\n' "$*"; }
output() { sed 's/^/  | /' "${1:--}"; }
as_root() { [ "$(id -u)" = 0 ] || cannot "this script needs root."; }

# The header of the script is the first part of its output: versions, expected, seen, output seen.
sed -n '2,/^[^#]/ { s/^# \{0,1\}//p }' "$0"
echo '--- this run'

# debian NAME=VERSION…: unpacks Debian 12 packages into the folder and puts them on PATH.
debian() {
  local package
  for package in "$@"; do
    (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$package" >apt.log 2>&1) ||
      cannot "apt no longer serves $package here (Debian 12; after apt-get update?)."
  done
  for package in "$work"/*.deb; do dpkg -x "$package" "$work/debian"; done
  export PATH=$work/debian/usr/bin:$work/debian/usr/sbin:$work/debian/sbin:$PATH
  export LD_LIBRARY_PATH=$work/debian/usr/lib/$(uname -m)-linux-gnu
}

# nmap_from_debian: nmap 7.93 with its data files.
nmap_from_debian() {
  debian nmap=7.93+dfsg1-1 nmap-common=7.93+dfsg1-1 liblua5.3-0=5.3.6-2 lua-lpeg=1.0.2-2 liblinear4=2.3.0+dfsg-5 libblas3=3.11.0-2 \
    libpcap0.8=1.10.3-1 libpcre3=2:8.39-15 libssh2-1=1.10.0-3+deb12u1 "$@"
  export NMAPDIR=$work/debian/usr/share/nmap LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$LD_LIBRARY_PATH/blas
}

# python_with NAME==VERSION…: `py` then runs Python with exactly these, their dependencies within the same folder.
python_with() {
  python3 -m pip --quiet --disable-pip-version-check --no-input install --no-warn-script-location --root-user-action ignore \
    --target "$work/python" "$@" >"$work/pip.log" 2>&1 || cannot "pip could not install $*: $(tail -n 1 "$work/pip.log")"
}
py() { PYTHONPATH=$work/python python3 "$@"; }

# go_server NAME VERSION BLOCK…: sets $server to the one on PATH if it has this version, else builds it from its Go module,
# pinned by a go.mod of these blocks, with the build tags $go_tags. Minutes when Go's caches are cold, half a minute after that.
go_server() {
  local name=$1 version=$2 binary
  shift 2
  binary=$(command -v "$name" || true)
  if [ -z "$binary" ] || ! [[ "$("$binary" version 2>/dev/null) " =~ \ v${version//./\\.}[^0-9.] ]]; then
    command -v go >/dev/null || cannot "there is no $name $version on PATH and no Go to build it."
    echo "building $name $version from its Go module …" >&2
    mkdir "$work/$name-build"
    printf '%s\n' "module finding.invalid/$name" "go 1.25.5" "require github.com/hashicorp/$name v$version" "$@" >"$work/$name-build/go.mod"
    binary=$work/$name
    (cd "$work/$name-build" && nice go build -mod=mod -tags "${go_tags:-}" -trimpath -ldflags '-s -w' -o "$binary" "github.com/hashicorp/$name" >"$work/build.log" 2>&1) ||
      cannot "$name $version does not build: $(tail -n 1 "$work/build.log")"
  fi
  server=$binary
}
# ports N: sets $free to N free TCP ports of 127.0.0.1.
ports() {
  read -ra free <<<"$(python3 -c '
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*[one.getsockname()[1] for one in held])' "$1")"
}
# answers URL: waits half a minute for a true answer.
answers() {
  local try
  for try in {1..150}; do
    curl --fail --silent --noproxy '*' "$1" 2>/dev/null | grep -q '[0-9a-z]' && return
    sleep 0.2
  done
  cannot "$1 did not answer after $((try / 5)) s: $(tail -n 1 "$work/server.log")"
}

# start_nomad: a server of Nomad 1.11.3 without clients on 127.0.0.1; sets $server and $port. What is dispatched there waits and never runs.
start_nomad() {
  go_server nomad 1.11.3 \
    'require github.com/hashicorp/nomad/api v0.0.0-20261016150620-df630b26e78a' \
    'replace github.com/Microsoft/go-winio => github.com/endocrimes/go-winio v0.4.13-0.20190628114223-fb47a8b41948' \
    'replace github.com/hashicorp/hcl => github.com/hashicorp/hcl v1.0.1-nomad-1'
  ports 3
  cat >"$work/server.hcl" <<SERVER
data_dir = "$work/data"
bind_addr = "127.0.0.1"
disable_update_check = true
advertise {
  http = "127.0.0.1"
  rpc = "127.0.0.1"
  serf = "127.0.0.1"
}
ports {
  http = ${free[0]}
  rpc = ${free[1]}
  serf = ${free[2]}
}
server {
  enabled = true
  bootstrap_expect = 1
}
SERVER
  "$server" agent -config "$work/server.hcl" >"$work/server.log" 2>&1 &
  children+=($!)
  port=${free[0]}
  answers "http://127.0.0.1:$port/v1/status/leader"
}

# two_namespaces: $scanner (10.66.0.2, its default route goes to the target) and $target (10.66.0.1, answers on all of 10.77.0.0/16).
two_namespaces() {
  as_root
  scanner=finding-scanner-$$ target=finding-target-$$
  namespaces+=("$scanner" "$target")
  ip netns add "$scanner"
  ip netns add "$target"
  ip link add wire netns "$scanner" type veth peer name wire netns "$target"
  ip -n "$scanner" addr add 10.66.0.2/24 dev wire
  ip -n "$target" addr add 10.66.0.1/24 dev wire
  for one in "$scanner" "$target"; do
    ip -n "$one" link set lo up
    ip -n "$one" link set wire up
  done
  ip -n "$scanner" route add default via 10.66.0.1
  ip -n "$target" route add local 10.77.0.0/16 dev lo
  gateway_mac=$(ip -n "$target" -br link show wire | awk '{ print $3 }')
}
in_scanner() { ip netns exec "$scanner" "$@"; }
in_target() { ip netns exec "$target" "$@"; }
offloads_off() { in_scanner ethtool -K wire tso off gso off gro off lro off >/dev/null 2>&1 || true; }

# masscan: its options, with what every scan here needs; 124 or 137 as exit code when it took longer than two minutes.
scan_with_masscan() {
  ip netns exec "$scanner" timeout --kill-after 5 120 masscan --interface wire --seed 1 --wait 3 "$@" </dev/null
}
# masscan's receiver looks at the clock only when a packet comes in, so on a silent wire it may never end: three a second come in.
keep_awake() {
  ip netns exec "$target" python3 -c '
import socket, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while not time.sleep(0.33): sender.sendto(b"", ("10.66.0.2", 9))' &
  children+=($!)
}

# zmap: without the machine's own configuration and blacklist (which excludes private networks), and with the gateway's MAC given.
scan_with_zmap() {
  : >"$work/empty"
  ip netns exec "$scanner" timeout --kill-after 5 60 zmap -C "$work/empty" -b "$work/empty" -i wire -S 10.66.0.2 -G "$gateway_mac" -c 2 "$@" </dev/null
}

# capture FILE, end_capture, packets FILE FILTER: what the target sees of TCP; the number of packets that match.
capture() {
  ip netns exec "$target" tcpdump -i wire -Z root -B 32768 -s 96 -w "$1" tcp >/dev/null 2>"$1.log" &
  capturing=$!
  children+=("$capturing")
  until grep -q listening "$1.log" 2>/dev/null; do sleep 0.1; done
}
end_capture() {
  sleep 1
  kill -INT "$capturing"
  wait "$capturing" || true
}
packets() { tcpdump -n -r "$1" "$2" 2>/dev/null | wc -l; }

# listen PORT…: TCP listeners on every address of the target.
listen() {
  : >"$work/listening"
  ip netns exec "$target" python3 -c ' # not through in_target: $! would be a subshell
import socket, sys, time
held = [socket.create_server(("0.0.0.0", int(port)), backlog=4096) for port in sys.argv[1:]]
print("ready", flush=True)
time.sleep(3600)' "$@" >"$work/listening" &
  children+=($!)
  until grep -q ready "$work/listening"; do sleep 0.1; done
}
