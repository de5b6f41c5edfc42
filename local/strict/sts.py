"""STS: roles must exist and their trust policies decide."""

import json
import re
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.responses import ActionResult
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.sts.responses import TokenResponse

from local.strict.authorization import caller_of
from local.strict.connections import State
from local.strict.trust import allows

ROLE_ARN = re.compile(r"arn:aws:iam::(\d{12}):role/(?:.*/)?([\w+=,.@-]{1,64})")
SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}")
EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}")
CHAINED_SECONDS = 3600


class StsError(Exception):
    """What STS refuses; moto's own exceptions warn about codes that the service model lacks."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@lru_cache(maxsize=32)
def _iam(url: str, account: str) -> Any:  # noqa: ANN401 - a boto3 client
    return boto3.client(
        "iam",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=account,
        aws_secret_access_key="local",  # noqa: S106 - the embedded AWS takes any
        config=Config(retries={"total_max_attempts": 1}),
    )


def _trust_policy(state: State, role_arn: str, account: str, name: str) -> dict[str, Any] | None:
    """Return the trust policy of a role that exists under exactly that ARN."""
    if state.settings.iam_url:
        return _remote_trust_policy(state.settings.iam_url, role_arn, account, name)
    try:
        role = iam_backends[account]["aws"].get_role_by_arn(role_arn)
    except NotFoundException:
        return None
    policy: dict[str, Any] = json.loads(role.assume_role_policy_document)
    return policy


def _remote_trust_policy(url: str, role_arn: str, account: str, name: str) -> dict[str, Any] | None:
    try:
        role = _iam(url, account).get_role(RoleName=name)["Role"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchEntity":
            return None
        raise
    policy: dict[str, Any] = role["AssumeRolePolicyDocument"]
    return policy if role["Arn"] == role_arn else None


def _invalid(parameter: str, value: str) -> StsError:
    return StsError(
        "ValidationError", f"1 validation error detected: Value '{value}' at '{parameter}' failed to satisfy constraint"
    )


class Sts(TokenResponse):
    """AssumeRole and GetCallerIdentity."""

    def __init__(self, state: State, access_key: str) -> None:
        super().__init__()
        self.state = state
        self.own_key = access_key

    def get_access_key(self) -> str:
        """Return the key as it was sent: moto knows no 12-digit ones."""
        return self.own_key

    def assume_role(self) -> ActionResult:
        """Give credentials of the role's account if its trust policy says so; AWS's own AccessDenied otherwise."""
        role_arn, account, name = self._checked_parameters()
        caller = caller_of(self.state, self.current_account, self.own_key)
        if caller.arn != caller.principal_arn and self._get_int_param("DurationSeconds", 0) > CHAINED_SECONDS:
            raise StsError(
                "ValidationError",
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
            )
        policy = _trust_policy(self.state, role_arn, account, name)
        context = {
            "aws:principalarn": caller.principal_arn,
            "aws:principalaccount": caller.account,
            "aws:principalorgid": self.state.settings.organization,
            "sts:externalid": self._get_param("ExternalId"),
            "sts:rolesessionname": self._get_param("RoleSessionName"),
        }
        if policy is None or not allows(policy, caller, context):
            raise StsError(
                "AccessDenied",
                f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
            )
        return super().assume_role()

    def _checked_parameters(self) -> tuple[str, str, str]:
        role_arn: str = self._get_param("RoleArn")
        match = ROLE_ARN.fullmatch(role_arn)
        if match is None:
            raise StsError("ValidationError", f"{role_arn} is invalid")
        if not SESSION_NAME.fullmatch(self._get_param("RoleSessionName")):
            raise _invalid("roleSessionName", self._get_param("RoleSessionName"))
        external_id = self._get_param("ExternalId")
        if external_id is not None and not EXTERNAL_ID.fullmatch(external_id):
            raise _invalid("externalId", external_id)
        return role_arn, match[1], match[2]

    def get_caller_identity(self) -> ActionResult:
        """Name the role of a session, the root of an account's own key."""
        caller = caller_of(self.state, self.current_account, self.own_key)
        if caller.arn != caller.principal_arn:
            return super().get_caller_identity()
        return ActionResult({"UserId": caller.account, "Account": caller.account, "Arn": caller.arn})
