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
  allowed_account_ids = ["999999999999"]
}

variable "s3_delete_nonempty_buckets" {
  description = "whether destroy may delete a bucket with logs"
  type        = bool
  default     = false
}

resource "aws_kms_key" "logs" {
  description         = "log objects in acme-flow-logs"
  enable_key_rotation = true
  policy              = file("${path.module}/../policies/key-policy.json")
}

resource "aws_kms_alias" "logs" {
  name          = "alias/acme-flow-logs"
  target_key_id = aws_kms_key.logs.key_id
}

resource "aws_s3_bucket" "logs" {
  bucket        = "acme-flow-logs"
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
}

resource "aws_s3_bucket_policy" "logs" {
  bucket     = aws_s3_bucket.logs.id
  policy     = file("${path.module}/../policies/bucket-policy.json")
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
  policy    = file("${path.module}/../policies/queue-policy.json")
}

resource "aws_sns_topic" "logs" {
  name = "acme-flow-logs"
}

resource "aws_sns_topic_policy" "logs" {
  arn    = aws_sns_topic.logs.arn
  policy = file("${path.module}/../policies/topic-policy.json")
}

resource "aws_sns_topic_subscription" "logs" {
  topic_arn            = aws_sns_topic.logs.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.logs.arn
  raw_message_delivery = true
  depends_on           = [aws_sqs_queue_policy.logs]
}

resource "aws_s3_bucket_notification" "logs" {
  bucket     = aws_s3_bucket.logs.id
  depends_on = [aws_sns_topic_policy.logs]

  topic {
    topic_arn     = aws_sns_topic.logs.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "network/AWSLogs/"
  }
}
