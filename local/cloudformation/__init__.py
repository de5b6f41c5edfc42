"""CloudFormation and Lambda on loopback: MiniStack, and what it lacks of custom resources.

`python -m local.cloudformation` is started by `local.embedded` under MiniStack's own environment, so nothing in this
package may import what only the project's environment has.
"""
