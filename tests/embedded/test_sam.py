import json
import subprocess
from pathlib import Path

import pytest
from conftest import TOY

from local import stacks
from local.embedded import ROOT, EmbeddedAws

SAM = ROOT / ".tools/sam/bin/sam"
TEMPLATE = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Transform": "AWS::Serverless-2016-10-31",
    "Resources": {
        "Function": {
            "Type": "AWS::Serverless::Function",
            "Metadata": {"BuildMethod": "makefile"},
            "Properties": {
                "FunctionName": "toy-of-sam",
                "CodeUri": "src/",
                "Handler": "index.handler",
                "Runtime": "python3.13",
                "Architectures": ["arm64"],
            },
        }
    },
    "Outputs": {"Token": {"Value": {"Fn::GetAtt": "Function.Arn"}, "Export": {"Name": "toy-token"}}},
}
USER = {
    "Resources": {
        "Toy": {"Type": "Custom::VpcPeering", "Properties": {"ServiceToken": {"Fn::ImportValue": "toy-token"}}}
    }
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Write a project of sam's, with a package for another processor that must not be imported here."""
    (tmp_path / "template.json").write_text(json.dumps(TEMPLATE))
    source = tmp_path / "src"
    (source / "pydantic_core").mkdir(parents=True)
    (source / "pydantic_core" / "core.so").touch()
    (source / "pydantic_core" / "__init__.py").write_text("raise ImportError('made for arm64')\n")
    (source / "index.py").write_text(f"import pydantic_core\n{TOY}")
    (source / "Makefile").write_text("build-Function:\n\tcp -R index.py pydantic_core $(ARTIFACTS_DIR)\n")
    return tmp_path


def test_sam_builds_deploys_and_deletes_into_the_embedded_aws(aws: EmbeddedAws, project: Path) -> None:
    """People work with sam: the same commands must work here as against AWS."""

    def sam(*words: str | Path) -> None:
        subprocess.run(  # noqa: S603 - the project's own sam
            [SAM, *words], cwd=project, env=aws.environment(), check=True, stdout=subprocess.PIPE
        )

    options = ("--stack-name", "sam-toy", "--region", "us-east-1")
    sam("build", "--template", "template.json")
    sam("deploy", *options, "--resolve-s3", "--no-confirm-changeset", "--capabilities", "CAPABILITY_IAM")
    cloudformation = aws.client("cloudformation")
    assert stacks.deploy(cloudformation, "sam-user", USER) == "CREATE_COMPLETE"
    assert stacks.delete(cloudformation, "sam-user") == "DELETE_COMPLETE"
    sam("delete", *options, "--no-prompts")
    assert not stacks.exists(cloudformation, "sam-toy")
