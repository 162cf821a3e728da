# bash completion of awl
# Made from the option table by scripts/make-docs.mjs; changes here are lost.
_awl() {
  local cur=${COMP_WORDS[COMP_CWORD]} name= words= command=${COMP_WORDS[1]}
  COMPREPLY=()
  # With = among the word breaks, "--name=val" arrives as three words.
  if [[ $cur == = ]]; then
    name=${COMP_WORDS[COMP_CWORD-1]} cur=
  elif [[ ${COMP_WORDS[COMP_CWORD-1]} == = && COMP_CWORD -gt 1 ]]; then
    name=${COMP_WORDS[COMP_CWORD-2]}
  elif [[ $cur == --*=* ]]; then
    name=${cur%%=*} cur=${cur#*=}
  fi
  case $name in
    '') ;;
    --app-repo|--file-dir|--email-password-file|--email-cert|--email-key|--email-ca|--exec-command|--exec-pwd|--exec-log|--state-dir|--log-file|--config|--out|--report|--peer-report)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      return ;;
    --route) words='direct relay either' ;;
    --candidates) words='host srflx mapped none' ;;
    --port-mapping) words='auto off' ;;
    --rendezvous) words='hyperdht opendht email meepo file' ;;
    --cipher) words='aes256 des3' ;;
    --tunnel) words='awl udx tubus tubus-clear' ;;
    --log-level) words='fatal error warning info debug trace' ;;
    --bits) words='2048 3072 4096' ;;
    --purpose) words='import export' ;;
    *) return ;;
  esac
  if [[ -n $name ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    return
  fi
  case $command in
    serve) words='--json --log-level= --log-file= --config= --help --version' ;;
    id) words='init export trust list --app-repo= --json --log-level= --log-file= --config= --help --version --bits= --out= --as= --replace --long' ;;
    doctor) words='--stun-server= --stun-client= --port-mapping= --rendezvous= --file-dir= --redis-url= --dht-bootstrap= --dht-port= --dht-network= --email-smtps= --email-imaps= --email-login= --email-password= --email-password-file= --email-password-command= --email-cert= --email-key= --email-ca= --email-insecure --email-poll= --json --log-level= --log-file= --config= --help --version --report= --peer-report= --meepo' ;;
    stun-server) words='--log-level= --log-file= --config= --help --version --listen= --port= --alt-port=' ;;
    dht-node) words='--dht-bootstrap= --log-level= --log-file= --config= --help --version --listen= --port= --public= --metrics=' ;;
    hub) words='--app-repo= --dht-bootstrap= --state-dir= --log-level= --log-file= --config= --help --version --listen= --port= --node-port= --relay --relay-port= --relay-allow= --public= --metrics= --alt-port=' ;;
    wormhole) words='--log-level= --log-file= --config= --help --version --purpose= --service= --gateway= --faraway= --obscure=' ;;
    service) words='print install systemd cron --log-level= --log-file= --config= --help --version --replace --name= --user=' ;;
    status) words='--state-dir= --json --log-level= --log-file= --config= --help --version' ;;
    meepo) words='--log-level= --log-file= --config= --help --version' ;;
    completion) words='bash zsh fish --log-level= --log-file= --config= --help --version' ;;
    *)
      words='--accept --app-id= --app-repo= --host-info= --peer-info= --stun-server= --stun-client= --app-qos= --tcp-stun= --tcp-bind= --route= --relay-server= --punch-hops= --candidates= --port-mapping= --response-timeout= --handshake-timeout= --once --accept-timeout= --rendezvous= --file-dir= --redis-url= --dht-bootstrap= --dht-port= --dht-network= --email-smtps= --email-imaps= --email-login= --email-password= --email-password-file= --email-password-command= --email-cert= --email-key= --email-ca= --email-insecure --email-poll= --exec-command= --exec-args= --exec-env= --exec-pwd= --exec-log= --exec-detach --allow-plaintext --allow-private --allow-loopback --cipher= --state-dir= --export= --export-any= --export-except= --import= --socks5= --tunnel= --stdio= --reconnect-timeout= --udp-only --json --log-level= --log-file= --config= --help --version --metrics='
      (( COMP_CWORD == 1 )) && words="serve id doctor stun-server dht-node hub wormhole service status meepo completion help $words" ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
  [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null
}
complete -F _awl awl
