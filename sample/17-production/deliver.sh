#!/bin/sh
# Puts a new wrapping token into the file that the application reads at its start. The token works once, within two
# minutes; whoever takes it before makes the start fail, so that the theft is noticed.
set -eu
umask 077
VAULT_TOKEN=$(cat "$CREDENTIALS_DIRECTORY/delivery-token")
export VAULT_TOKEN
bao write -force -wrap-ttl=120s -field=wrapping_token \
  auth/approle/role/orders/secret-id >"$WRAPPING_TOKEN_FILE.new"
mv "$WRAPPING_TOKEN_FILE.new" "$WRAPPING_TOKEN_FILE"
