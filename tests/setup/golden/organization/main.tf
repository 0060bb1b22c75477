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

variable "s3_delete_nonempty_buckets" {
  description = "whether destroy may delete a bucket with logs"
  type        = bool
  default     = false
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

resource "aws_iam_role" "primary" {
  count              = var.create_role ? 1 : 0
  name               = "KentikPrimary"
  path               = "/"
  description        = "kentik_dagster collects export organization"
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

resource "aws_kms_key" "logs" {
  description         = "log objects in acme.flow.logs"
  enable_key_rotation = true
  policy              = file("${path.module}/policies/key-policy.json")
}

resource "aws_kms_alias" "logs" {
  name          = "alias/acme-flow-logs"
  target_key_id = aws_kms_key.logs.key_id
}

resource "aws_s3_bucket" "logs" {
  bucket        = "acme.flow.logs"
  force_destroy = var.s3_delete_nonempty_buckets
}

resource "aws_s3_bucket_public_access_block" "logs" {
  bucket                  = aws_s3_bucket.logs.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.logs.arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    id     = "leftovers"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }

    noncurrent_version_expiration {
      noncurrent_days = 7
    }
  }

  rule {
    id     = "old-logs"
    status = "Enabled"

    filter {
      prefix = "AWSLogs/"
    }

    expiration {
      days = 30
    }
  }
}

resource "aws_s3_bucket_policy" "logs" {
  bucket     = aws_s3_bucket.logs.id
  policy     = file("${path.module}/policies/bucket-policy.json")
  depends_on = [aws_s3_bucket_public_access_block.logs]
}

resource "aws_sqs_queue" "logs" {
  name                       = "acme-flow-logs"
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 300
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true
}

resource "aws_sqs_queue_policy" "logs" {
  queue_url = aws_sqs_queue.logs.url
  policy    = file("${path.module}/policies/queue-policy.json")
}

resource "aws_s3_bucket_notification" "logs" {
  bucket     = aws_s3_bucket.logs.id
  depends_on = [aws_sqs_queue_policy.logs]

  queue {
    queue_arn     = aws_sqs_queue.logs.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "AWSLogs/"
  }
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
  depends_on               = [aws_s3_bucket_policy.logs]
}

resource "aws_flow_log" "subnet_us_east_1" {
  for_each                 = setintersection(var.subnet_id_list, data.aws_subnets.us_east_1.ids)
  subnet_id                = each.value
  traffic_type             = "ALL"
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::acme.flow.logs"
  max_aggregation_interval = var.store_logs_more_frequently ? 60 : 600
  log_format               = "$${version} $${account-id} $${interface-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${action} $${log-status} $${vpc-id} $${subnet-id} $${instance-id} $${tcp-flags} $${type} $${pkt-srcaddr} $${pkt-dstaddr} $${region} $${az-id} $${sublocation-type} $${sublocation-id} $${pkt-src-aws-service} $${pkt-dst-aws-service} $${flow-direction} $${traffic-path} $${ecs-cluster-arn} $${ecs-cluster-name} $${ecs-container-instance-arn} $${ecs-container-instance-id} $${ecs-container-id} $${ecs-second-container-id} $${ecs-service-name} $${ecs-task-definition-arn} $${ecs-task-arn} $${ecs-task-id} $${reject-reason} $${resource-id} $${encryption-status} $${interface-type} $${next-hop-interface-id} $${next-hop-subnet-id} $${next-hop-az-id} $${next-hop-vpc-id} $${next-hop-interface-type}"
  depends_on               = [aws_s3_bucket_policy.logs]
}

resource "aws_flow_log" "transit_gateway_us_east_1" {
  for_each                 = toset(lookup(var.transit_gateway_ids, "us-east-1", []))
  transit_gateway_id       = each.value
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::acme.flow.logs"
  max_aggregation_interval = 60
  log_format               = "$${version} $${account-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${log-status} $${tcp-flags} $${type} $${region} $${pkt-src-aws-service} $${pkt-dst-aws-service} $${flow-direction} $${resource-type} $${tgw-id} $${tgw-attachment-id} $${tgw-src-vpc-account-id} $${tgw-dst-vpc-account-id} $${tgw-src-vpc-id} $${tgw-dst-vpc-id} $${tgw-src-subnet-id} $${tgw-dst-subnet-id} $${tgw-src-eni} $${tgw-dst-eni} $${tgw-src-az-id} $${tgw-dst-az-id} $${tgw-pair-attachment-id} $${packets-lost-no-route} $${packets-lost-blackhole} $${packets-lost-mtu-exceeded} $${packets-lost-ttl-expired}"
  depends_on               = [aws_s3_bucket_policy.logs]
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
  depends_on               = [aws_s3_bucket_policy.logs]
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
  depends_on               = [aws_s3_bucket_policy.logs]
}

resource "aws_flow_log" "transit_gateway_eu_west_1" {
  for_each                 = toset(lookup(var.transit_gateway_ids, "eu-west-1", []))
  provider                 = aws.eu_west_1
  transit_gateway_id       = each.value
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::acme.flow.logs"
  max_aggregation_interval = 60
  log_format               = "$${version} $${account-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${log-status} $${tcp-flags} $${type} $${region} $${pkt-src-aws-service} $${pkt-dst-aws-service} $${flow-direction} $${resource-type} $${tgw-id} $${tgw-attachment-id} $${tgw-src-vpc-account-id} $${tgw-dst-vpc-account-id} $${tgw-src-vpc-id} $${tgw-dst-vpc-id} $${tgw-src-subnet-id} $${tgw-dst-subnet-id} $${tgw-src-eni} $${tgw-dst-eni} $${tgw-src-az-id} $${tgw-dst-az-id} $${tgw-pair-attachment-id} $${packets-lost-no-route} $${packets-lost-blackhole} $${packets-lost-mtu-exceeded} $${packets-lost-ttl-expired}"
  depends_on               = [aws_s3_bucket_policy.logs]
}

output "iam_role_arn" {
  value = "arn:aws:iam::111111111111:role/KentikPrimary"
}

output "bucket_name_list" {
  value = [aws_s3_bucket.logs.bucket]
}

output "notification_queue" {
  value = aws_sqs_queue.logs.url
}
