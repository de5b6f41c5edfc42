"""`Custom::VpcPeering`: a CloudFormation custom resource that owns a VPC peering whole."""
