"""What has to be in AWS before an export can collect: policies, Terraform and CloudFormation, as texts."""
