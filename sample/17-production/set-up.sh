#!/bin/sh
# By an administrator, once. Prints the role_id for /etc/orders/environment, then a token for /etc/orders/delivery-token.
set -eu
bao auth enable approle >/dev/null
bao write auth/approle/role/orders token_policies=orders token_no_default_policy=true \
  token_period=1h secret_id_ttl=24h >/dev/null
bao policy write orders-delivery - >/dev/null <<'HCL'
path "auth/approle/role/orders/secret-id" {
  capabilities     = ["update"]
  # An unwrapped secret_id is never given to it.
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "120s"
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
HCL
bao read -field=role_id auth/approle/role/orders/role-id
echo
# Periodic: something has to renew it once a day, such as a timer with `bao token renew`.
bao token create -policy=orders-delivery -no-default-policy -orphan -period=24h -field=token
