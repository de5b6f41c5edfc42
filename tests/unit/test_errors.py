import re

import pytest

from handler import errors
from handler.errors import REASON_LIMIT, InvalidRequest, NotFound, PeeringError

TREE = re.findall(r"^[├└]── (\w+)", errors.__doc__ or "", re.MULTILINE)


def test_tree_is_the_drawn_one() -> None:
    """The picture in the module's docstring is what people read first: it must not lie."""
    assert TREE == [failure.__name__ for failure in PeeringError.__subclasses__()]


@pytest.mark.parametrize("name", TREE)
def test_codes_are_the_names(name: str) -> None:
    """A failure is named by CloudFormation's own handler error code."""
    assert name == getattr(errors, name).code


def test_text_has_code_cause_and_remedy() -> None:
    """A person reads what it is, about what, and what to do."""
    failure = NotFound("VpcId vpc-1 is not there.", "Check VpcId.")

    assert "NotFound: VpcId vpc-1 is not there. Check VpcId." == str(failure) == failure.reason
    assert ("", 0) == (failure.ec2_code, failure.ec2_status)


@pytest.mark.parametrize("missing", [-1, 0, 1, 2, 1000])
def test_long_cause_is_cut_and_the_remedy_is_whole(missing: int) -> None:
    """The console shows 240 characters: what is to be done must be among them."""
    room = REASON_LIMIT - len("InvalidRequest:  Do this.")
    failure = InvalidRequest("c" * (room + missing), "Do this.")

    assert min(REASON_LIMIT, len(str(failure))) == len(failure.reason)
    assert failure.reason.endswith("Do this.")
    assert (missing > 0) == ("… Do this." in failure.reason)


@pytest.mark.parametrize("shift", range(5))
def test_cut_cause_has_no_loose_end(shift: int) -> None:
    """A cut between two words leaves no space before the ellipsis."""
    reason = InvalidRequest("c" * shift + "word " * 100, "Do this.").reason

    assert re.search(r"\w… Do this\.$", reason)


@pytest.mark.parametrize("length", [REASON_LIMIT - 20, REASON_LIMIT, 1000])
def test_reason_never_exceeds_the_limit(length: int) -> None:
    """A remedy that is too long itself is cut too, and the code still leads."""
    reason = InvalidRequest("cause", "r" * length).reason

    assert REASON_LIMIT >= len(reason)
    assert reason.startswith("InvalidRequest: ")
