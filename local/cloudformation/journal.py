"""The record of what passed between CloudFormation and the functions: one JSON object a line."""

import json
import threading
from pathlib import Path


class Journal:
    """Appends to one file from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def write(self, kind: str, request_id: str, content: object) -> None:
        """Add one line: what happened (event, attempt, answer), to which request, and its content."""
        line = json.dumps({"kind": kind, "RequestId": request_id, "content": content})
        with self._lock, self._path.open("a") as file:
            file.write(f"{line}\n")
