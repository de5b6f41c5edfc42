"""A custom resource's function that does what its properties say: the launcher is tested with it.

`Create`, `Update` and `Delete` are properties; each is a list of steps. A step is `{Sleep: seconds}`, `{Raise: message,
Times: n}`, or a PUT: the fields of a response that differ from a plain SUCCESS, and what changes the PUT itself,
`ContentType`, `Size`, `Signature` and `Body`.
"""

import http.client
import json
import os
import ssl
import sys
import time
import urllib.parse
from typing import Any

INVOCATIONS = []
STATUSES = []


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """Run the steps of the request's type."""
    INVOCATIONS.append(context)
    seen = {"client": type(context).__module__, "env": dict(os.environ), "group": os.getpgid(0)}
    sys.stdout.write(json.dumps({"invocation": len(INVOCATIONS), **seen}) + "\n")
    for step in event["ResourceProperties"].get(event["RequestType"], [{}]):
        if "Sleep" in step:
            time.sleep(float(step["Sleep"]))
        elif "Raise" not in step:
            put(event, dict(step))
        elif len(INVOCATIONS) <= int(step["Times"]):
            raise RuntimeError(step["Raise"])


def put(event: dict[str, Any], step: dict[str, Any]) -> None:
    """Answer; later responses carry the status of this one."""
    headers = {"Content-Type": step.pop("ContentType")} if "ContentType" in step else {}
    url = urllib.parse.urlsplit(event["ResponseURL"] + step.pop("Signature", ""))
    connection = http.client.HTTPSConnection(url.netloc, context=ssl.create_default_context())
    connection.request("PUT", f"{url.path}?{url.query}", body(event, step), headers)
    STATUSES.append(str(connection.getresponse().status))
    connection.close()


def body(event: dict[str, Any], step: dict[str, Any]) -> str:
    """Return the response, filled with blanks up to a size."""
    size, raw = int(step.pop("Size", 0)), step.pop("Body", None)
    same = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    response = {"Status": "SUCCESS", "PhysicalResourceId": event.get("PhysicalResourceId", "toy"), **same}
    return raw or json.dumps({**response, "Data": {"Statuses": ",".join(STATUSES)}, **step}).ljust(size)
