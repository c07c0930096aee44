#!/bin/sh
# One instance after the other; the next only if the one before is ready.
set -eu
for instance in 1 2; do
  systemctl restart "orders@$instance"
  for attempt in $(seq 60); do
    curl --fail --silent --output /dev/null "http://127.0.0.1:300$instance/health/ready" && continue 2
    sleep 1
  done
  echo "orders@$instance is not ready" >&2
  exit 1
done
