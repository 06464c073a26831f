# SPDX-License-Identifier: Apache-2.0
"""A cloud on loopback: S3 (OpenStack Swift), the EC2 query API and the EBS direct APIs, for tests."""
