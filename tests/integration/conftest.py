"""One strict AWS a worker, made new for each test, and the handler pointed at it."""

import os
from collections.abc import Iterator

import pytest
import trustme

from local.strict import Settings, StrictAws
from tests.harness import (
    HUB,
    ResponseBucket,
    Topology,
    VirtualTime,
    World,
    models_made_once,
    response_bucket,
)


@pytest.fixture(scope="session", autouse=True)
def models() -> Iterator[None]:
    """Make botocore's models once a worker."""
    with models_made_once():
        yield


@pytest.fixture(scope="session")
def virtual_time() -> VirtualTime:
    """Make the time that the handler and the strict AWS share."""
    return VirtualTime()


@pytest.fixture(scope="session")
def strict_aws(virtual_time: VirtualTime) -> Iterator[StrictAws]:
    """Serve EC2 and STS once."""
    with StrictAws(Settings(), clock=virtual_time.now) as aws:
        yield aws


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Make the authority that signs the ResponseURL's certificate."""
    return trustme.CA()


@pytest.fixture(scope="session")
def shared_bucket(authority: trustme.CA) -> Iterator[ResponseBucket]:
    """Serve the ResponseURL once."""
    with response_bucket(authority) as bucket:
        yield bucket


@pytest.fixture
def bucket(shared_bucket: ResponseBucket) -> ResponseBucket:
    """Empty the ResponseURL."""
    shared_bucket.puts.clear()
    shared_bucket.statuses.clear()
    return shared_bucket


@pytest.fixture
def aws(strict_aws: StrictAws, virtual_time: VirtualTime) -> StrictAws:
    """Empty the strict AWS."""
    virtual_time.restart()
    strict_aws.reset(Settings())
    return strict_aws


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, aws: StrictAws, authority: trustme.CA) -> Iterator[None]:
    """Give the handler what Lambda would: a Region, credentials, and the way to AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with authority.cert_pem.tempfile() as trusted:
        for name, value in {
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": HUB,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "SSL_CERT_FILE": trusted,
            "ALLOWED_RESPONSE_HOSTS": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.fixture
def world(aws: StrictAws, bucket: ResponseBucket, virtual_time: VirtualTime, request: pytest.FixtureRequest) -> World:
    """Make a world of the topology that the test asks for: two accounts and two Regions unless it says otherwise."""
    return World(aws, bucket, getattr(request, "param", Topology()), virtual_time)
