#!/bin/sh
# exec-openvpn.sh INNERIP INNERPORT OUTERIP OUTERPORT PEERIP PEERPORT [SECRET]
#
# OpenVPN on the path that awl punched, as --exec-command with the default --exec-args on both sides.
# The two machines know each other by the very certificates of the app repository: TLS, each side pinned
# to the other's fingerprint, no certificate authority. Needs openvpn 2.6 (Debian 12) for that.
# Ends when the peer has been silent for a minute.
#
# From awl:      AWL_ROLE AWL_HOST_CERT AWL_HOST_KEY AWL_PEER_CERT
# From the user: AWL_TUN_LOCAL AWL_TUN_REMOTE   addresses in the tunnel
#                    (default 10.77.0.1 on the accepting side, 10.77.0.2 on the inviting side)
#                AWL_TUN_DEV                    interface (default tun: the next free tunN)
#                AWL_OPENVPN_CONFIG             a further configuration file, read last
set -eu

die() {
  echo "exec-openvpn.sh: $1" >&2
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

check_file() {
  if [ -z "$2" ]; then die "$1 is not set; awl sets it where the app repository holds the file" 78; fi
  if [ ! -r "$2" ]; then die "$1 names \"$2\", which cannot be read" 78; fi
}

# SHA-256 of the certificate in the form that openvpn wants, AA:BB:..; a PEM body is base64 of the DER.
fingerprint() {
  sed -n '/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/{/-----/!p;/-----END/q;}' "$1" |
    base64 -d | sha256sum | cut -c1-64 | tr 'a-f' 'A-F' | sed 's/../&:/g; s/:$//'
}

if [ $# -lt 6 ] || [ $# -gt 7 ]; then
  die 'usage: exec-openvpn.sh INNERIP INNERPORT OUTERIP OUTERPORT PEERIP PEERPORT [SECRET]'
fi
check_ip INNERIP "$1"
check_port INNERPORT "$2"
check_ip PEERIP "$5"
check_port PEERPORT "$6"

case ${AWL_ROLE:-} in
  accept) tls=--tls-server mine=10.77.0.1 theirs=10.77.0.2 ;;
  invite) tls=--tls-client mine=10.77.0.2 theirs=10.77.0.1 ;;
  *) die 'AWL_ROLE must be accept or invite; awl sets it, or give it with --exec-env' 78 ;;
esac
mine=${AWL_TUN_LOCAL:-$mine}
theirs=${AWL_TUN_REMOTE:-$theirs}
check_ip AWL_TUN_LOCAL "$mine"
check_ip AWL_TUN_REMOTE "$theirs"
check_file AWL_HOST_CERT "${AWL_HOST_CERT:-}"
check_file AWL_HOST_KEY "${AWL_HOST_KEY:-}"
check_file AWL_PEER_CERT "${AWL_PEER_CERT:-}"
PATH=$PATH:/usr/sbin:/sbin
command -v openvpn >/dev/null || die 'openvpn 2.6 or newer is not installed (Debian: apt install openvpn)' 69

inner=$1
innerport=$2
peer=$5
peerport=$6
case $peer in
  *:*) proto=udp6 ;;
  *) proto=udp4 ;;
esac

set -- --mode p2p --proto "$proto" --lport "$innerport" --remote "$peer" "$peerport" --float
# All addresses is what openvpn binds anyway.
case $inner in
  0.0.0.0 | ::) ;;
  *) set -- "$@" --local "$inner" ;;
esac
# Ephemeral elliptic curve keys: no dh file.
set -- "$@" "$tls" --dh none --cert "$AWL_HOST_CERT" --key "$AWL_HOST_KEY" \
  --peer-fingerprint "$(fingerprint "$AWL_PEER_CERT")" --tls-version-min 1.2 \
  --data-ciphers AES-256-GCM:CHACHA20-POLY1305:AES-128-GCM --data-ciphers-fallback AES-256-GCM --auth SHA256
# A NAT forgets a silent mapping after 30 s or more. A lost path is not punched again by a restart of openvpn
# but by a new invitation: so end, and let awl or whoever started it see that.
set -- "$@" --ping 10 --ping-exit 60 --tls-exit
set -- "$@" --dev "${AWL_TUN_DEV:-tun}" --dev-type tun --ifconfig "$mine" "$theirs" --verb 3
if [ -n "${AWL_OPENVPN_CONFIG:-}" ]; then set -- "$@" --config "$AWL_OPENVPN_CONFIG"; fi

# openvpn hands its environment to scripts; these two are not for them.
unset AWL_SECRET AWL_SESSION_KEY
exec openvpn "$@"
