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
  region              = "us-east-1"
  allowed_account_ids = ["111111111111"]
}

provider "aws" {
  alias               = "eu_west_1"
  region              = "eu-west-1"
  allowed_account_ids = ["111111111111"]
}

variable "create_role" {
  description = "false: the primary role is there already, with its trust"
  type        = bool
  default     = true
}

variable "vpc_id_list" {
  description = "VPCs to log; empty: all of the account"
  type        = list(string)
  default     = ["vpc-0123456789abcdef0"]
}

variable "subnet_id_list" {
  description = "subnets to log besides"
  type        = list(string)
  default     = ["subnet-0123456789abcdef0"]
}

variable "transit_gateway_ids" {
  description = "transit gateways of this account to log, by their region"
  type        = map(list(string))

  default = {
    us-east-1 = ["tgw-0123456789abcdef0"]
    eu-west-1 = ["tgw-0123456789abcdef1"]
  }
}

variable "store_logs_more_frequently" {
  description = "true: records of at most one minute, and more of them; false: of ten minutes"
  type        = bool
  default     = false
}

variable "firewall_arn_list" {
  description = "firewalls of this account to log"
  type        = list(string)
  default     = ["arn:aws:network-firewall:eu-west-1:111111111111:firewall/edge"]
}

resource "aws_iam_role" "primary" {
  count              = var.create_role ? 1 : 0
  name               = "KentikPrimary"
  path               = "/net/"
  description        = "kentik_dagster collects export central-bucket"
  assume_role_policy = file("${path.module}/policies/primary-trust.json")
}

resource "aws_iam_policy" "primary" {
  for_each = {
    primary-access   = "${path.module}/policies/primary-access.json"
    primary-accounts = "${path.module}/policies/primary-accounts.json"
  }

  name   = "KentikPrimary-${each.key}"
  policy = file(each.value)
}

resource "aws_iam_role_policy_attachment" "primary" {
  for_each   = aws_iam_policy.primary
  role       = "KentikPrimary"
  policy_arn = each.value.arn
  depends_on = [aws_iam_role.primary]
}

data "aws_vpcs" "us_east_1" {}

data "aws_subnets" "us_east_1" {}

resource "aws_flow_log" "vpc_us_east_1" {
  for_each                 = length(var.vpc_id_list) == 0 ? toset(data.aws_vpcs.us_east_1.ids) : setintersection(var.vpc_id_list, data.aws_vpcs.us_east_1.ids)
  vpc_id                   = each.value
  traffic_type             = "ALL"
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::acme-flow-logs/network/"
  max_aggregation_interval = var.store_logs_more_frequently ? 60 : 600
  log_format               = "$${version} $${account-id} $${interface-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${action} $${log-status} $${vpc-id} $${subnet-id} $${instance-id} $${tcp-flags} $${type} $${pkt-srcaddr} $${pkt-dstaddr} $${region} $${az-id} $${sublocation-type} $${sublocation-id} $${pkt-src-aws-service} $${pkt-dst-aws-service} $${flow-direction} $${traffic-path} $${ecs-cluster-arn} $${ecs-cluster-name} $${ecs-container-instance-arn} $${ecs-container-instance-id} $${ecs-container-id} $${ecs-second-container-id} $${ecs-service-name} $${ecs-task-definition-arn} $${ecs-task-arn} $${ecs-task-id} $${reject-reason} $${resource-id} $${encryption-status} $${interface-type} $${next-hop-interface-id} $${next-hop-subnet-id} $${next-hop-az-id} $${next-hop-vpc-id} $${next-hop-interface-type}"

  destination_options {
    file_format                = "parquet"
    hive_compatible_partitions = false
    per_hour_partition         = false
  }
}

resource "aws_flow_log" "subnet_us_east_1" {
  for_each                 = setintersection(var.subnet_id_list, data.aws_subnets.us_east_1.ids)
  subnet_id                = each.value
  traffic_type             = "ALL"
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::acme-flow-logs/network/"
  max_aggregation_interval = var.store_logs_more_frequently ? 60 : 600
  log_format               = "$${version} $${account-id} $${interface-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${action} $${log-status} $${vpc-id} $${subnet-id} $${instance-id} $${tcp-flags} $${type} $${pkt-srcaddr} $${pkt-dstaddr} $${region} $${az-id} $${sublocation-type} $${sublocation-id} $${pkt-src-aws-service} $${pkt-dst-aws-service} $${flow-direction} $${traffic-path} $${ecs-cluster-arn} $${ecs-cluster-name} $${ecs-container-instance-arn} $${ecs-container-instance-id} $${ecs-container-id} $${ecs-second-container-id} $${ecs-service-name} $${ecs-task-definition-arn} $${ecs-task-arn} $${ecs-task-id} $${reject-reason} $${resource-id} $${encryption-status} $${interface-type} $${next-hop-interface-id} $${next-hop-subnet-id} $${next-hop-az-id} $${next-hop-vpc-id} $${next-hop-interface-type}"

  destination_options {
    file_format                = "parquet"
    hive_compatible_partitions = false
    per_hour_partition         = false
  }
}

resource "aws_flow_log" "transit_gateway_us_east_1" {
  for_each                 = toset(lookup(var.transit_gateway_ids, "us-east-1", []))
  transit_gateway_id       = each.value
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::acme-flow-logs/network/"
  max_aggregation_interval = 60
  log_format               = "$${version} $${account-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${log-status} $${tcp-flags} $${type} $${region} $${pkt-src-aws-service} $${pkt-dst-aws-service} $${flow-direction} $${resource-type} $${tgw-id} $${tgw-attachment-id} $${tgw-src-vpc-account-id} $${tgw-dst-vpc-account-id} $${tgw-src-vpc-id} $${tgw-dst-vpc-id} $${tgw-src-subnet-id} $${tgw-dst-subnet-id} $${tgw-src-eni} $${tgw-dst-eni} $${tgw-src-az-id} $${tgw-dst-az-id} $${tgw-pair-attachment-id} $${packets-lost-no-route} $${packets-lost-blackhole} $${packets-lost-mtu-exceeded} $${packets-lost-ttl-expired}"

  destination_options {
    file_format                = "parquet"
    hive_compatible_partitions = false
    per_hour_partition         = false
  }
}

# This is the firewall's whole logging configuration: what it logs elsewhere has to be added here.
resource "aws_networkfirewall_logging_configuration" "us_east_1" {
  for_each     = toset([for arn in var.firewall_arn_list : arn if split(":", arn)[3] == "us-east-1"])
  firewall_arn = each.value

  logging_configuration {
    log_destination_config {
      log_type             = "FLOW"
      log_destination_type = "S3"

      log_destination = {
        bucketName = "acme-flow-logs"
        prefix     = "network"
      }
    }

    log_destination_config {
      log_type             = "ALERT"
      log_destination_type = "S3"

      log_destination = {
        bucketName = "acme-flow-logs"
        prefix     = "network"
      }
    }
  }
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
  log_destination          = "arn:aws:s3:::acme-flow-logs/network/"
  max_aggregation_interval = var.store_logs_more_frequently ? 60 : 600
  log_format               = "$${version} $${account-id} $${interface-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${action} $${log-status} $${vpc-id} $${subnet-id} $${instance-id} $${tcp-flags} $${type} $${pkt-srcaddr} $${pkt-dstaddr} $${region} $${az-id} $${sublocation-type} $${sublocation-id} $${pkt-src-aws-service} $${pkt-dst-aws-service} $${flow-direction} $${traffic-path} $${ecs-cluster-arn} $${ecs-cluster-name} $${ecs-container-instance-arn} $${ecs-container-instance-id} $${ecs-container-id} $${ecs-second-container-id} $${ecs-service-name} $${ecs-task-definition-arn} $${ecs-task-arn} $${ecs-task-id} $${reject-reason} $${resource-id} $${encryption-status} $${interface-type} $${next-hop-interface-id} $${next-hop-subnet-id} $${next-hop-az-id} $${next-hop-vpc-id} $${next-hop-interface-type}"

  destination_options {
    file_format                = "parquet"
    hive_compatible_partitions = false
    per_hour_partition         = false
  }
}

resource "aws_flow_log" "subnet_eu_west_1" {
  for_each                 = setintersection(var.subnet_id_list, data.aws_subnets.eu_west_1.ids)
  provider                 = aws.eu_west_1
  subnet_id                = each.value
  traffic_type             = "ALL"
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::acme-flow-logs/network/"
  max_aggregation_interval = var.store_logs_more_frequently ? 60 : 600
  log_format               = "$${version} $${account-id} $${interface-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${action} $${log-status} $${vpc-id} $${subnet-id} $${instance-id} $${tcp-flags} $${type} $${pkt-srcaddr} $${pkt-dstaddr} $${region} $${az-id} $${sublocation-type} $${sublocation-id} $${pkt-src-aws-service} $${pkt-dst-aws-service} $${flow-direction} $${traffic-path} $${ecs-cluster-arn} $${ecs-cluster-name} $${ecs-container-instance-arn} $${ecs-container-instance-id} $${ecs-container-id} $${ecs-second-container-id} $${ecs-service-name} $${ecs-task-definition-arn} $${ecs-task-arn} $${ecs-task-id} $${reject-reason} $${resource-id} $${encryption-status} $${interface-type} $${next-hop-interface-id} $${next-hop-subnet-id} $${next-hop-az-id} $${next-hop-vpc-id} $${next-hop-interface-type}"

  destination_options {
    file_format                = "parquet"
    hive_compatible_partitions = false
    per_hour_partition         = false
  }
}

resource "aws_flow_log" "transit_gateway_eu_west_1" {
  for_each                 = toset(lookup(var.transit_gateway_ids, "eu-west-1", []))
  provider                 = aws.eu_west_1
  transit_gateway_id       = each.value
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::acme-flow-logs/network/"
  max_aggregation_interval = 60
  log_format               = "$${version} $${account-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${log-status} $${tcp-flags} $${type} $${region} $${pkt-src-aws-service} $${pkt-dst-aws-service} $${flow-direction} $${resource-type} $${tgw-id} $${tgw-attachment-id} $${tgw-src-vpc-account-id} $${tgw-dst-vpc-account-id} $${tgw-src-vpc-id} $${tgw-dst-vpc-id} $${tgw-src-subnet-id} $${tgw-dst-subnet-id} $${tgw-src-eni} $${tgw-dst-eni} $${tgw-src-az-id} $${tgw-dst-az-id} $${tgw-pair-attachment-id} $${packets-lost-no-route} $${packets-lost-blackhole} $${packets-lost-mtu-exceeded} $${packets-lost-ttl-expired}"

  destination_options {
    file_format                = "parquet"
    hive_compatible_partitions = false
    per_hour_partition         = false
  }
}

# This is the firewall's whole logging configuration: what it logs elsewhere has to be added here.
resource "aws_networkfirewall_logging_configuration" "eu_west_1" {
  for_each     = toset([for arn in var.firewall_arn_list : arn if split(":", arn)[3] == "eu-west-1"])
  provider     = aws.eu_west_1
  firewall_arn = each.value

  logging_configuration {
    log_destination_config {
      log_type             = "FLOW"
      log_destination_type = "S3"

      log_destination = {
        bucketName = "acme-flow-logs"
        prefix     = "network"
      }
    }

    log_destination_config {
      log_type             = "ALERT"
      log_destination_type = "S3"

      log_destination = {
        bucketName = "acme-flow-logs"
        prefix     = "network"
      }
    }
  }
}

output "iam_role_arn" {
  value = "arn:aws:iam::111111111111:role/net/KentikPrimary"
}
