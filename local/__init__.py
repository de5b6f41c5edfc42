"""The embedded AWS on loopback: strict EC2 and STS, CloudFormation and Lambda, and the demo."""
