#!/bin/sh
# Makes deploy/secrets/ for compose.yaml: random passwords, a key that signs receipts, an API key for your backend and one for Prometheus.
# Nothing that is there already is replaced. Needs openssl.
set -eu
cd "$(dirname "$0")"
command -v openssl > /dev/null || { echo "make-secrets.sh needs openssl. On Debian: apt install openssl" >&2; exit 1; }
# Files are readable by others because containers run as users of their own, without rights; the directory is not.
umask 022
mkdir -p secrets
chmod 700 secrets
cd secrets

random() { openssl rand -hex "$1"; }
once() {  # what comes in is the file's content, unless there is one
  if [ -s "$1" ]; then cat > /dev/null; return; fi
  cat > "$1.new"
  # Whoever should have said it failed: an empty password would be none.
  if [ ! -s "$1.new" ]; then rm "$1.new"; echo "deploy/secrets/$1 could not be made" >&2; exit 1; fi
  mv "$1.new" "$1"
  echo "made deploy/secrets/$1"
}
digest() { printf %s "$1" | openssl dgst -sha256 -r | cut -d' ' -f1; }

random 24 | once valkey_password
random 24 | once postgres_password
random 24 | once grafana_password
random 32 | once jwt_secrets
openssl genpkey -algorithm ed25519 | once receipt_key.pem
printf 'lck_metrics_%s' "$(random 24)" | once metrics_key
printf 'lck_backend_%s' "$(random 24)" | once backend_key

echo "redis://:$(cat valkey_password)@rooms:6379" | once redis_url
echo "redis://:$(cat valkey_password)@ledger:6379" | once ledger_url
echo "postgresql://livecast:$(cat postgres_password)@archive:5432/livecast" | once archive_url
once api_keys.json <<JSON
[
  {"id": "metrics", "hash": "$(digest "$(cat metrics_key)")", "scopes": ["reports:read"]},
  {"id": "backend", "hash": "$(digest "$(cat backend_key)")", "scopes": ["rooms:read", "rooms:write", "chat:write", "chat:moderate",
    "drops:read", "drops:write", "claims:settle", "gifts:write", "wallets:read", "wallets:write", "reports:read", "webhooks:write",
    "tokens:viewer", "tokens:staff"]}
]
JSON
echo "The key of your backend is in deploy/secrets/backend_key."
