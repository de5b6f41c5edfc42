"""Tags: EC2's limits, and a set of its own for each side of a connection."""

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.tags import TagResponse

from local.strict.api import StrictApi

MAX_TAGS, MAX_KEY, MAX_VALUE = 50, 127, 256


def checked(tags: dict[str, str]) -> dict[str, str]:
    """Return the same tags. Raises EC2's errors for what it does not take."""
    for key, value in tags.items():
        if not 0 < len(key) <= MAX_KEY:
            raise EC2ClientError("InvalidParameterValue", f"Tag key length must be 1 to {MAX_KEY}: '{key}'")
        if len(value or "") > MAX_VALUE:
            raise EC2ClientError("InvalidParameterValue", f"Tag value exceeds {MAX_VALUE} characters: '{key}'")
        if key.lower().startswith("aws:"):
            raise EC2ClientError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
    if len(tags) > MAX_TAGS:
        raise EC2ClientError("TagLimitExceeded", f"The maximum number of Tags for a resource has been reached: {tags}")
    return tags


class TagApi(StrictApi, TagResponse):
    """CreateTags and DeleteTags."""

    def create_tags(self) -> ActionResult:
        """Write to this account's and Region's own set."""
        self._find_connections()
        sent = self._get_param("Tags", [])
        tags = {tag["Key"]: tag.get("Value", "") for tag in sent}
        if len(tags) < len(sent):
            raise EC2ClientError("InvalidParameterValue", "Duplicate tag key specified")
        checked(tags)
        for resource in self._get_param("Resources", []):
            checked(self.own_tags.get(resource, {}) | tags)
        return super().create_tags()

    def delete_tags(self) -> ActionResult:
        """Delete, with a value only on a match, without any tag all tags."""
        self._find_connections()
        if self._get_param("Tags"):
            return super().delete_tags()
        for resource in self._get_param("Resources", []):
            self.own_tags.pop(resource, None)
        return EmptyResult()

    def _find_connections(self) -> None:
        for resource in self._get_param("Resources", []):
            if resource.startswith("pcx-"):
                self.state.find(self.place, resource)
