"""Uses KV by hvac: each line of the input is a call of one version of the engine. Prints the results as JSON."""

import json
import sys

import hvac
import requests


def result(answer):
    """An answer as a value: hvac returns either JSON, or the response itself where it has no body."""
    return answer.status_code if isinstance(answer, requests.Response) else answer


def call(client, version, name, arguments):
    try:
        return result(getattr(getattr(client.secrets.kv, version), name)(**arguments))
    except hvac.exceptions.VaultError as error:
        return {"error": type(error).__name__, "errors": error.errors, "body": json.loads(error.text or "null")}
    except hvac.exceptions.ParamValidationError as error:
        return {"error": type(error).__name__}


request = json.load(sys.stdin)
client = hvac.Client(url=request["url"], token=request["token"])
json.dump([call(client, *one) for one in request["calls"]], sys.stdout)
