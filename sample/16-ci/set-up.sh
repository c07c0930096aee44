#!/bin/sh
# By an administrator, once. For GitLab: ISSUER=https://gitlab.com JWKS=https://gitlab.com/oauth/discovery/keys
# CLAIMS='{"project_id":"42","ref_protected":"true"}'
# For GitHub: ISSUER=https://token.actions.githubusercontent.com JWKS=$ISSUER/.well-known/jwks
# CLAIMS='{"repository":"shop/orders","ref":"refs/heads/main"}'
set -eu
bao auth enable jwt
bao write auth/jwt/config jwks_url="$JWKS" bound_issuer="$ISSUER"
# The claims limit the role to one repository and its protected branch; the TTLs to the length of a job.
bao write auth/jwt/role/orders-ci - <<JSON
{
  "role_type": "jwt",
  "user_claim": "sub",
  "bound_audiences": ["vault"],
  "bound_claims": $CLAIMS,
  "token_policies": ["orders"],
  "token_no_default_policy": true,
  "token_ttl": "15m",
  "token_max_ttl": "1h"
}
JSON
