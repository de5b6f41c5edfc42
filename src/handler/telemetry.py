"""Logs and metrics of one request. What is secret is struck out before a line is written."""

import json
import logging
import os
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit

from handler.changes import Change, CreateRoute, DeleteRoute, ReplaceRoute
from handler.errors import PeeringError

STRUCK_OUT: Final = "***"
NAMED: Final = re.compile(
    r"(?i)((?:x-amz-(?:security-token|signature|credential)|session_?token|secret_?access_?key)['\"]?\s*[:=]\s*['\"]?)"
    r"[^\s&'\",]+"
)
"""What AWS itself names as a secret: its SignatureDoesNotMatch quotes the request, with the session token in it."""


class Redactor(LambdaPowertoolsFormatter):
    """Powertools' formatter, which strikes the secrets of the request out of all that a line says."""

    def __init__(self) -> None:
        super().__init__(serialize_stacktrace=False, json_deserializer=str)  # a text that is JSON stays a text
        self.secrets: frozenset[str] = frozenset()
        self.spared: frozenset[str] = frozenset()
        """Members of a line that name the request, and so hold no secret, though a secret may be a part of the name."""

    def serialize(self, log: Any) -> str:  # noqa: ANN401  # Powertools' own
        """Return the line without any secret."""
        # Into plain JSON first: what is no text yet, as an exception, becomes one here.
        plain = json.loads(super().serialize(log))
        spared = {name: plain[name] for name in self.spared & plain.keys()}
        return super().serialize(self._strike_values(plain) | spared)

    def strike(self, text: str) -> str:
        """Return the text without any secret."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, STRUCK_OUT)
        return NAMED.sub(rf"\1{STRUCK_OUT}", text)

    def _strike_values(self, value: Any) -> Any:  # noqa: ANN401  # any JSON
        if isinstance(value, dict):
            return {name: self._strike_values(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._strike_values(inner) for inner in value]
        return self.strike(value) if isinstance(value, str) else value


redactor = Redactor()
strike = redactor.strike
logger = Logger(service=os.environ.get("POWERTOOLS_SERVICE_NAME", "vpc-peering"), logger_formatter=redactor)
metrics = Metrics(
    namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "VpcPeering"),
    service=os.environ.get("POWERTOOLS_SERVICE_NAME", "vpc-peering"),
)


class _OwnFailures(logging.Filter):
    """Takes the trace off a failure of ours, whose text says it all; crhelper logs one with every exception."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        if record.exc_info and isinstance(record.exc_info[1], PeeringError):
            record.exc_info = None
        return True


logging.getLogger("crhelper.resource_helper").addFilter(_OwnFailures())
# What crhelper and botocore log goes through the same handler, and so through the redactor.
copy_config_to_registered_loggers(logger, include={"crhelper", "botocore"}, ignore_log_level=True)


def begin(secrets: Collection[str], **keys: str) -> None:
    """Begin a request: its keys stand on every line, its secrets on none."""
    redactor.secrets = frozenset(filter(None, secrets))
    logger.remove_keys([*redactor.spared])
    redactor.spared = frozenset(keys)
    logger.append_keys(**keys)


def conceal(secret: str) -> None:
    """Strike a further secret out of all lines of this request."""
    redactor.secrets |= {secret}


def measure(  # noqa: PLR0913  # as many as there are metrics
    request_type: str,
    status: str,
    seconds: float,
    changes: Iterable[Change],
    *,
    left_behind: bool,
    unregistered: bool,
    undelivered: bool,
) -> None:
    """Write the one metric set of a request: what came of it, how long it took, what it changed."""
    made = list(changes)
    metrics.add_dimension("request_type", request_type)
    metrics.add_dimensions(service=metrics.service)  # the requests of all types, which the alarms watch
    metrics.add_metric("Succeeded", MetricUnit.Count, status == "SUCCESS")
    metrics.add_metric("Failed", MetricUnit.Count, status == "FAILED")
    metrics.add_metric("Undelivered", MetricUnit.Count, undelivered)
    metrics.add_metric("Unregistered", MetricUnit.Count, unregistered)
    metrics.add_metric("Duration", MetricUnit.Seconds, seconds)
    metrics.add_metric("Changes", MetricUnit.Count, len(made))
    for name, kind in (
        ("RoutesCreated", CreateRoute),
        ("RoutesReplaced", ReplaceRoute),
        ("RoutesDeleted", DeleteRoute),
    ):
        metrics.add_metric(name, MetricUnit.Count, sum(isinstance(change, kind) for change in made))
    metrics.add_metric("AccepterLeftBehind", MetricUnit.Count, left_behind)
    metrics.flush_metrics()


def measure_upkeep(counts: Mapping[str, int]) -> None:
    """Write the one metric set of some resources that were looked at together: how many of what was found."""
    if counts:
        for name, count in counts.items():
            metrics.add_metric(name, MetricUnit.Count, count)
        metrics.flush_metrics()
