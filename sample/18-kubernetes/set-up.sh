#!/bin/sh
# By an administrator of the Vault server, once. KUBERNETES_HOST and KUBERNETES_CA are the API server, as Vault reaches it,
# and the file of its authority. Vault asks it with the token of each login (token-review.yaml).
set -eu
bao auth enable kubernetes
bao write auth/kubernetes/config kubernetes_host="$KUBERNETES_HOST" kubernetes_ca_cert=@"$KUBERNETES_CA" \
  disable_local_ca_jwt=true
bao write auth/kubernetes/role/orders \
  bound_service_account_names=orders bound_service_account_namespaces=shop audience=vault \
  token_policies=orders token_no_default_policy=true token_ttl=1h
