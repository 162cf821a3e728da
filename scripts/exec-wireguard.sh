#!/bin/sh
# exec-wireguard.sh INNERIP INNERPORT OUTERIP OUTERPORT PEERIP PEERPORT [SECRET]
#
# WireGuard on the path that awl punched, as --exec-command with the default --exec-args on both sides.
# Between two awl peers no WireGuard keys are needed: both sides compute them from the session key, which only
# these two machines know and which is new each time. With another peer, give keys of your own. Runs until it is
# told to end or the peer has been silent for three minutes; the interface goes with it.
#
# From awl:      AWL_ROLE AWL_SESSION_KEY (64 hex digits; only if the peer is an awl, too)
# From the user: AWL_WG_PRIVATE_KEY_FILE AWL_WG_PEER_PUBLIC_KEY   own keys, as "wg genkey" and "wg pubkey" make them
#                AWL_TUN_LOCAL AWL_TUN_REMOTE   addresses in the tunnel
#                    (default 10.78.0.1 on the accepting side, 10.78.0.2 on the inviting side)
#                AWL_WG_ALLOWED_IPS             what the peer may send and is sent (default AWL_TUN_REMOTE alone)
#                AWL_TUN_DEV                    interface (default awlPORT)
#                AWL_WG_SILENCE                 seconds without a handshake after which it ends (default 185)
#                AWL_WG_USERSPACE               1: wireguard-go even where the kernel has WireGuard
set -eu

die() {
  echo "exec-wireguard.sh: $1" >&2
  exit "${2:-64}"
}

check_ip() {
  case $2 in
    '' | *[!0-9a-fA-F.:]*) die "$1 \"$2\" is not an IP address; use the default --exec-args" ;;
  esac
}

check_port() {
  case $2 in
    '' | *[!0-9]* | ??????*) die "$1 \"$2\" is not a port; use the default --exec-args" ;;
  esac
  if [ "$2" -lt 1 ] || [ "$2" -gt 65535 ]; then die "$1 \"$2\" is not a port; use the default --exec-args"; fi
}

# 64 hex digits on stdin to base64. printf is a builtin: nothing of a key is ever an argument of a process.
hex_to_base64() {
  read -r rest || [ -n "$rest" ]
  octal=
  while [ -n "$rest" ]; do
    tail=${rest#??}
    byte=$((0x${rest%"$tail"}))
    octal=$octal\\0$((byte / 64))$((byte / 8 % 8))$((byte % 8))
    rest=$tail
  done
  printf %b "$octal" | base64
}

# A 32-byte key for one purpose: SHA-256 of the purpose and the session key. Both have fixed forms and the results
# stay secret, so this is a sound key derivation without a tool that a small system may lack.
derive() {
  printf 'awl wireguard 1 %s %s' "$1" "$AWL_SESSION_KEY" | sha256sum | cut -c1-64 | hex_to_base64
}

if [ $# -lt 6 ] || [ $# -gt 7 ]; then
  die 'usage: exec-wireguard.sh INNERIP INNERPORT OUTERIP OUTERPORT PEERIP PEERPORT [SECRET]'
fi
check_ip INNERIP "$1"
check_port INNERPORT "$2"
check_ip PEERIP "$5"
check_port PEERPORT "$6"
port=$2
case $5 in
  *:*) endpoint="[$5]:$6" ;;
  *) endpoint=$5:$6 ;;
esac

case ${AWL_ROLE:-} in
  accept) other=invite mine=10.78.0.1 theirs=10.78.0.2 ;;
  invite) other=accept mine=10.78.0.2 theirs=10.78.0.1 ;;
  *) die 'AWL_ROLE must be accept or invite; awl sets it, or give it with --exec-env' 78 ;;
esac
mine=${AWL_TUN_LOCAL:-$mine}
theirs=${AWL_TUN_REMOTE:-$theirs}
check_ip AWL_TUN_LOCAL "$mine"
check_ip AWL_TUN_REMOTE "$theirs"
case $theirs in
  *:*) bits=128 ;;
  *) bits=32 ;;
esac
allowed=${AWL_WG_ALLOWED_IPS:-$theirs/$bits}
case $allowed in
  *[!0-9a-fA-F.:/,\ ]*) die "AWL_WG_ALLOWED_IPS \"$allowed\" is not a list of networks such as 10.0.0.0/8,192.168.1.0/24" ;;
esac
dev=${AWL_TUN_DEV:-awl$port}
case $dev in
  *[!A-Za-z0-9_-]* | -* | ????????????????*) die "AWL_TUN_DEV \"$dev\" is not an interface name of at most 15 characters" ;;
esac
silence=${AWL_WG_SILENCE:-185}
case $silence in
  *[!0-9]*) die "AWL_WG_SILENCE \"$silence\" is not a number of seconds" ;;
esac
PATH=$PATH:/usr/sbin:/sbin
command -v wg >/dev/null || die 'wg is not installed (Debian: apt install wireguard-tools)' 69
command -v ip >/dev/null || die 'ip is not installed (Debian: apt install iproute2)' 69

psk=
if [ -n "${AWL_WG_PRIVATE_KEY_FILE:-}" ]; then
  if [ ! -r "$AWL_WG_PRIVATE_KEY_FILE" ]; then
    die "AWL_WG_PRIVATE_KEY_FILE names \"$AWL_WG_PRIVATE_KEY_FILE\", which cannot be read" 78
  fi
  read -r private <"$AWL_WG_PRIVATE_KEY_FILE" || [ -n "$private" ] || die 'AWL_WG_PRIVATE_KEY_FILE is empty' 78
  public=${AWL_WG_PEER_PUBLIC_KEY:-}
  if [ -z "$public" ]; then die 'AWL_WG_PEER_PUBLIC_KEY must name the peer beside AWL_WG_PRIVATE_KEY_FILE' 78; fi
else
  case ${AWL_SESSION_KEY:-} in
    '') die 'the peer is no awl, so there is no session key: give AWL_WG_PRIVATE_KEY_FILE and AWL_WG_PEER_PUBLIC_KEY' 78 ;;
    *[!0-9a-f]*) die 'AWL_SESSION_KEY is not 64 hex digits' 78 ;;
  esac
  if [ ${#AWL_SESSION_KEY} -ne 64 ]; then die 'AWL_SESSION_KEY is not 64 hex digits' 78; fi
  private=$(derive "$AWL_ROLE")
  public=$(derive "$other" | wg pubkey)
  psk=$(derive preshared)
fi
case $public in
  *[!A-Za-z0-9+/=]*) die 'AWL_WG_PEER_PUBLIC_KEY is not a key as "wg pubkey" prints it' 78 ;;
esac
# Nothing that is started from here on needs to know.
unset AWL_SECRET AWL_SESSION_KEY

if ip link show dev "$dev" >/dev/null 2>&1; then die "the interface $dev is there already; choose another with AWL_TUN_DEV" 75; fi

daemon='' nap=''
clean_up() {
  trap '' TERM INT HUP
  if [ -n "$nap" ]; then kill "$nap" 2>/dev/null || :; fi
  ip link del dev "$dev" 2>/dev/null || :
  if [ -n "$daemon" ]; then
    kill "$daemon" 2>/dev/null || :
    wait "$daemon" 2>/dev/null || :
  fi
}
trap clean_up EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'exit 129' HUP

if [ "${AWL_WG_USERSPACE:-}" = 1 ] || ! ip link add dev "$dev" type wireguard 2>/dev/null; then
  command -v wireguard-go >/dev/null ||
    die 'this kernel has no WireGuard and wireguard-go is not installed (Debian: apt install wireguard-go)' 69
  LOG_LEVEL=error wireguard-go -f "$dev" &
  daemon=$!
  tries=0
  # wg takes a socket that nobody listens at yet for a dead one and removes it: the program gets a moment for that.
  until [ -S "/var/run/wireguard/$dev.sock" ] && sleep 0.1 && wg show "$dev" >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 50 ] || ! kill -0 "$daemon" 2>/dev/null; then
      die 'wireguard-go did not start; it needs root and /dev/net/tun' 71
    fi
    sleep 0.1
  done
fi

{
  printf '[Interface]\nPrivateKey = %s\nListenPort = %s\n' "$private" "$port"
  printf '[Peer]\nPublicKey = %s\nAllowedIPs = %s\nEndpoint = %s\n' "$public" "$allowed" "$endpoint"
  # A NAT forgets a silent mapping after 30 s or more.
  printf 'PersistentKeepalive = 15\n'
  if [ -n "$psk" ]; then printf 'PresharedKey = %s\n' "$psk"; fi
} | wg setconf "$dev" /dev/stdin
private='' psk=''

# 1420 as wg-quick: 1500 less the outer IPv6, UDP and WireGuard headers.
ip link set dev "$dev" mtu 1420 up
ip address add "$mine" peer "$theirs" dev "$dev"
old_ifs=$IFS
IFS=', '
for net in $allowed; do
  if [ "$net" != "$theirs/$bits" ]; then ip route add "$net" dev "$dev"; fi
done
IFS=$old_ifs
echo "exec-wireguard.sh: $dev is up, $mine to $theirs by $endpoint" >&2

# WireGuard gives a handshake 180 s (REJECT_AFTER_TIME) and with keepalives renews it every 120 s; older means that
# the path is lost, which a new invitation mends and nothing else: so end, and let awl see that.
started=$(date +%s)
while :; do
  # In the background and waited for, so that a signal is acted upon at once.
  sleep 5 &
  nap=$!
  wait "$nap"
  nap=
  if [ -n "$daemon" ] && ! kill -0 "$daemon" 2>/dev/null; then die 'wireguard-go ended' 70; fi
  if ! seen=$(wg show "$dev" latest-handshakes 2>/dev/null | cut -f2); then die "the interface $dev is gone" 70; fi
  if [ "${seen:-0}" = 0 ]; then seen=$started; fi
  if [ $(($(date +%s) - seen)) -gt "$silence" ]; then die "the peer has been silent for $silence s" 75; fi
done
