"""Logs and metrics of one request. What is secret is struck out before a line is written."""

import logging
import os
from collections.abc import Collection, Iterable
from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit

from handler.changes import Change, CreateRoute, DeleteRoute, ReplaceRoute
from handler.errors import PeeringError

STRUCK_OUT: Final = "***"


class Redactor(LambdaPowertoolsFormatter):
    """Powertools' formatter, which strikes the secrets of the request out of the finished line, wherever they stand."""

    def __init__(self) -> None:
        super().__init__(serialize_stacktrace=False)
        self.secrets: frozenset[str] = frozenset()

    def serialize(self, log: Any) -> str:  # noqa: ANN401  # Powertools' own
        """Return the line without any secret."""
        line: str = super().serialize(log)
        for secret in sorted(self.secrets, key=len, reverse=True):
            line = line.replace(secret, STRUCK_OUT)
        return line


redactor = Redactor()
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
    redactor.secrets = frozenset(secret for secret in secrets if secret)
    logger.append_keys(**keys)


def measure(request_type: str, status: str, seconds: float, changes: Iterable[Change], *, left_behind: bool) -> None:
    """Write the one metric set of a request: what came of it, how long it took, what it changed."""
    made = list(changes)
    metrics.add_dimension("request_type", request_type)
    metrics.add_metric("Succeeded", MetricUnit.Count, status == "SUCCESS")
    metrics.add_metric("Failed", MetricUnit.Count, status == "FAILED")
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
