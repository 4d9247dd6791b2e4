# the environment that the task began with; a line break within a value travels as a byte that no text has
hostler_break=$(printf '\001')
cd "/proc/$hostler_task/cwd" 2>/dev/null
while IFS= read -r hostler_line; do
  hostler_name=${hostler_line%%=*}
  case $hostler_name in
  '' | [0-9]* | *[!A-Za-z0-9_]* | hostler_* | PPID | UID | EUID | SHELLOPTS | BASHOPTS) continue ;;
  esac
  hostler_value=${hostler_line#*=}
  case $hostler_value in *"$hostler_break"*) hostler_value=$(printf '%s.' "$hostler_value" | tr '\001' '\n') hostler_value=${hostler_value%.} ;; esac
  export "$hostler_name=$hostler_value"
done <<HOSTLER_ENVIRONMENT
$(tr '\0\n' '\n\001' <"/proc/$hostler_task/environ")
HOSTLER_ENVIRONMENT
