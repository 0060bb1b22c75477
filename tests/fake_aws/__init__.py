"""A small fake of AWS's metadata APIs, for what moto cannot show: paging, throttling, refusals, trust.

It answers over real HTTP from this process, on threads; a boto3 client needs only its URL:

    with FakeAws() as fake:
        fake.answers("111122223333", "us-east-1", "ec2", "DescribeVpcs", {"Vpcs": [{"VpcId": "vpc-1"}]})
        fake.page_size = 5
        monkeypatch.setenv("AWS_ENDPOINT_URL", fake.url)
        ...
        assert fake.requests["111122223333", "us-east-1", "ec2", "DescribeVpcs"] == 1

Services: ec2, sts, iam, elb, elbv2, directconnect, network-firewall, organizations, cloudwatch, networkmanager.
Routing, parsing and serialising are moto's, after botocore's models; signatures are read, not checked.

**Answers** are whole answers in boto3's member names. An operation without one answers empty lists. Account and
region may be None for any; `when` asks for parameters; a callable gets the parameters, and may raise `RefusedError`.
Bytes are kept: an answer belongs to the fake once it is given. To change it, give a new one, or give it again.
The same object may be given to many accounts, and is serialised once. Members and operations are checked.
The region is the one of the signature. With an endpoint of one's own, boto3 signs iam, organizations and
networkmanager for the client's region as well: give their answers for any region.

**Accounts** follow access keys. AssumeRole gives out a session of the role's account; any other key is the ambient
identity's. `role` registers a role with its trust; from then on unknown roles are refused (`open_trust`).

**Rules** (`deny`, `fail`, `vanish`, `throttle`, `limit`, `slow`, `garble`) hold for the calls that they select, until
lifted, or until the end of a `with` block. All switches may change while clients ask. GetCallerIdentity is
denied only where a rule names it.

What goes wrong in a callable is in `mistakes`, and is raised when the fake ends.
"""

from tests.fake_aws.fake import FakeAws
from tests.fake_aws.refusals import RefusedError
from tests.fake_aws.rules import Rule
from tests.fake_aws.trust import Role

__all__ = ["FakeAws", "RefusedError", "Role", "Rule"]
