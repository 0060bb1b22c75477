terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40, < 7.0"
    }
  }
}

provider "aws" {
  region                = "us-east-1"
  forbidden_account_ids = ["111111111111"]
}

provider "aws" {
  alias                 = "eu_west_1"
  region                = "eu-west-1"
  forbidden_account_ids = ["111111111111"]
}

variable "vpc_id_list" {
  description = "VPCs to log; empty: all of the account"
  type        = list(string)
  default     = []
}

variable "subnet_id_list" {
  description = "subnets to log besides"
  type        = list(string)
  default     = []
}

variable "transit_gateway_ids" {
  description = "transit gateways of this account to log, by their region"
  type        = map(list(string))
  default     = {}
}

variable "store_logs_more_frequently" {
  description = "true: records of at most one minute, and more of them; false: of ten minutes"
  type        = bool
  default     = true
}

resource "aws_iam_role" "secondary" {
  name               = "KentikSecondary"
  path               = "/"
  description        = "kentik_dagster collects this account's network metadata and metrics"
  assume_role_policy = file("${path.module}/../policies/secondary-trust.json")
}

resource "aws_iam_role_policy" "secondary" {
  name   = "kentik-dagster"
  role   = aws_iam_role.secondary.name
  policy = file("${path.module}/../policies/secondary-access.json")
}

data "aws_vpcs" "us_east_1" {}

data "aws_subnets" "us_east_1" {}

resource "aws_flow_log" "vpc_us_east_1" {
  for_each                 = length(var.vpc_id_list) == 0 ? toset(data.aws_vpcs.us_east_1.ids) : setintersection(var.vpc_id_list, data.aws_vpcs.us_east_1.ids)
  vpc_id                   = each.value
  traffic_type             = "ALL"
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::acme.flow.logs"
  max_aggregation_interval = var.store_logs_more_frequently ? 60 : 600
  log_format               = "$${version} $${account-id} $${interface-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${action} $${log-status} $${vpc-id} $${subnet-id} $${instance-id} $${tcp-flags} $${type} $${pkt-srcaddr} $${pkt-dstaddr} $${region} $${az-id} $${sublocation-type} $${sublocation-id} $${pkt-src-aws-service} $${pkt-dst-aws-service} $${flow-direction} $${traffic-path} $${ecs-cluster-arn} $${ecs-cluster-name} $${ecs-container-instance-arn} $${ecs-container-instance-id} $${ecs-container-id} $${ecs-second-container-id} $${ecs-service-name} $${ecs-task-definition-arn} $${ecs-task-arn} $${ecs-task-id} $${reject-reason} $${resource-id} $${encryption-status} $${interface-type} $${next-hop-interface-id} $${next-hop-subnet-id} $${next-hop-az-id} $${next-hop-vpc-id} $${next-hop-interface-type}"
}

resource "aws_flow_log" "subnet_us_east_1" {
  for_each                 = setintersection(var.subnet_id_list, data.aws_subnets.us_east_1.ids)
  subnet_id                = each.value
  traffic_type             = "ALL"
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::acme.flow.logs"
  max_aggregation_interval = var.store_logs_more_frequently ? 60 : 600
  log_format               = "$${version} $${account-id} $${interface-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${action} $${log-status} $${vpc-id} $${subnet-id} $${instance-id} $${tcp-flags} $${type} $${pkt-srcaddr} $${pkt-dstaddr} $${region} $${az-id} $${sublocation-type} $${sublocation-id} $${pkt-src-aws-service} $${pkt-dst-aws-service} $${flow-direction} $${traffic-path} $${ecs-cluster-arn} $${ecs-cluster-name} $${ecs-container-instance-arn} $${ecs-container-instance-id} $${ecs-container-id} $${ecs-second-container-id} $${ecs-service-name} $${ecs-task-definition-arn} $${ecs-task-arn} $${ecs-task-id} $${reject-reason} $${resource-id} $${encryption-status} $${interface-type} $${next-hop-interface-id} $${next-hop-subnet-id} $${next-hop-az-id} $${next-hop-vpc-id} $${next-hop-interface-type}"
}

resource "aws_flow_log" "transit_gateway_us_east_1" {
  for_each                 = toset(lookup(var.transit_gateway_ids, "us-east-1", []))
  transit_gateway_id       = each.value
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::acme.flow.logs"
  max_aggregation_interval = 60
  log_format               = "$${version} $${account-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${log-status} $${tcp-flags} $${type} $${region} $${pkt-src-aws-service} $${pkt-dst-aws-service} $${flow-direction} $${resource-type} $${tgw-id} $${tgw-attachment-id} $${tgw-src-vpc-account-id} $${tgw-dst-vpc-account-id} $${tgw-src-vpc-id} $${tgw-dst-vpc-id} $${tgw-src-subnet-id} $${tgw-dst-subnet-id} $${tgw-src-eni} $${tgw-dst-eni} $${tgw-src-az-id} $${tgw-dst-az-id} $${tgw-pair-attachment-id} $${packets-lost-no-route} $${packets-lost-blackhole} $${packets-lost-mtu-exceeded} $${packets-lost-ttl-expired}"
}

data "aws_vpcs" "eu_west_1" {
  provider = aws.eu_west_1
}

data "aws_subnets" "eu_west_1" {
  provider = aws.eu_west_1
}

resource "aws_flow_log" "vpc_eu_west_1" {
  for_each                 = length(var.vpc_id_list) == 0 ? toset(data.aws_vpcs.eu_west_1.ids) : setintersection(var.vpc_id_list, data.aws_vpcs.eu_west_1.ids)
  provider                 = aws.eu_west_1
  vpc_id                   = each.value
  traffic_type             = "ALL"
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::acme.flow.logs"
  max_aggregation_interval = var.store_logs_more_frequently ? 60 : 600
  log_format               = "$${version} $${account-id} $${interface-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${action} $${log-status} $${vpc-id} $${subnet-id} $${instance-id} $${tcp-flags} $${type} $${pkt-srcaddr} $${pkt-dstaddr} $${region} $${az-id} $${sublocation-type} $${sublocation-id} $${pkt-src-aws-service} $${pkt-dst-aws-service} $${flow-direction} $${traffic-path} $${ecs-cluster-arn} $${ecs-cluster-name} $${ecs-container-instance-arn} $${ecs-container-instance-id} $${ecs-container-id} $${ecs-second-container-id} $${ecs-service-name} $${ecs-task-definition-arn} $${ecs-task-arn} $${ecs-task-id} $${reject-reason} $${resource-id} $${encryption-status} $${interface-type} $${next-hop-interface-id} $${next-hop-subnet-id} $${next-hop-az-id} $${next-hop-vpc-id} $${next-hop-interface-type}"
}

resource "aws_flow_log" "subnet_eu_west_1" {
  for_each                 = setintersection(var.subnet_id_list, data.aws_subnets.eu_west_1.ids)
  provider                 = aws.eu_west_1
  subnet_id                = each.value
  traffic_type             = "ALL"
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::acme.flow.logs"
  max_aggregation_interval = var.store_logs_more_frequently ? 60 : 600
  log_format               = "$${version} $${account-id} $${interface-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${action} $${log-status} $${vpc-id} $${subnet-id} $${instance-id} $${tcp-flags} $${type} $${pkt-srcaddr} $${pkt-dstaddr} $${region} $${az-id} $${sublocation-type} $${sublocation-id} $${pkt-src-aws-service} $${pkt-dst-aws-service} $${flow-direction} $${traffic-path} $${ecs-cluster-arn} $${ecs-cluster-name} $${ecs-container-instance-arn} $${ecs-container-instance-id} $${ecs-container-id} $${ecs-second-container-id} $${ecs-service-name} $${ecs-task-definition-arn} $${ecs-task-arn} $${ecs-task-id} $${reject-reason} $${resource-id} $${encryption-status} $${interface-type} $${next-hop-interface-id} $${next-hop-subnet-id} $${next-hop-az-id} $${next-hop-vpc-id} $${next-hop-interface-type}"
}

resource "aws_flow_log" "transit_gateway_eu_west_1" {
  for_each                 = toset(lookup(var.transit_gateway_ids, "eu-west-1", []))
  provider                 = aws.eu_west_1
  transit_gateway_id       = each.value
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::acme.flow.logs"
  max_aggregation_interval = 60
  log_format               = "$${version} $${account-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${log-status} $${tcp-flags} $${type} $${region} $${pkt-src-aws-service} $${pkt-dst-aws-service} $${flow-direction} $${resource-type} $${tgw-id} $${tgw-attachment-id} $${tgw-src-vpc-account-id} $${tgw-dst-vpc-account-id} $${tgw-src-vpc-id} $${tgw-dst-vpc-id} $${tgw-src-subnet-id} $${tgw-dst-subnet-id} $${tgw-src-eni} $${tgw-dst-eni} $${tgw-src-az-id} $${tgw-dst-az-id} $${tgw-pair-attachment-id} $${packets-lost-no-route} $${packets-lost-blackhole} $${packets-lost-mtu-exceeded} $${packets-lost-ttl-expired}"
}
