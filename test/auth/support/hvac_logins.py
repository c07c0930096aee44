"""Logs in by hvac, for each line of the input; prints the results as JSON. The tokens are revoked."""

import json
import sys

import hvac


def log_in(url, ca, method, call, arguments):
    # A server renews the token of a certificate only for that certificate.
    own = (arguments["cert_pem"], arguments["key_pem"]) if method == "cert" else None
    client = hvac.Client(url=url, verify=ca, cert=own)
    try:
        answer = getattr(getattr(client.auth, method), call)(**arguments)
    except hvac.exceptions.VaultError as error:
        return {"error": type(error).__name__, "errors": error.errors}
    auth = answer["auth"]
    own = client.auth.token.lookup_self()["data"]
    client.auth.token.renew_self()
    client.auth.token.revoke_self()
    return {
        "policies": sorted(auth["policies"]),
        "metadata": sorted((auth["metadata"] or {}).keys()),
        "lease_duration": auth["lease_duration"],
        "renewable": auth["renewable"],
        "token_type": auth["token_type"],
        "path": own["path"],
        "creation_ttl": own["creation_ttl"],
    }


request = json.load(sys.stdin)
results = [log_in(request["url"], request["ca"], *login) for login in request["logins"]]
json.dump(results, sys.stdout)
