"""What the AWS SDK does by itself: signatures, expectations, protocols, event streams, pages, retries."""

from __future__ import annotations

import json
import struct
import urllib.parse
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import pytest

from downstream.serving import (
    ThreeTimes,
    as_chunks,
    as_json,
    body_of,
    continues,
    fails_each_first_time,
    field_of,
    target_of,
)
from tests.peer import keep_alive, response

CREDENTIALS = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCY"}


@pytest.fixture(autouse=True)
def no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is configured for AWS on this machine must not be seen."""
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def client(service: str, url: str, credentials: dict[str, str] = CREDENTIALS, **config: Any) -> Any:
    return boto3.session.Session().client(
        service,
        endpoint_url=url,
        region_name="eu-west-1",
        config=botocore.config.Config(s3={"addressing_style": "path"}, **config),
        **credentials,
    )


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_object_is_put_when_the_server_says_continue(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        s3 = client("s3", url)
        return [s3.put_object(Bucket="b", Key=f"k{size}", Body=b"x" * size)["ETag"] for size in (10, 200_000)]

    script = continues(lambda request: response(b"", b'ETag: "%d"' % len(body_of(request))))
    assert len(three_times(script, ask)) == 2


def test_object_is_refused_before_its_content_is_sent(three_times: ThreeTimes) -> None:
    refusal = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"

    def refuse(connection: Any) -> None:
        connection.read_until(b"\r\n\r\n")
        connection.send(response(refusal, b"Connection: close", b"Content-Type: text/xml", status=b"403 Forbidden"))
        connection.wait_closed()

    def ask(url: str) -> Any:
        try:
            return client("s3", url, retries={"max_attempts": 0}).put_object(Bucket="b", Key="k", Body=b"x" * 100)
        except botocore.exceptions.ClientError as error:
            return error.response["Error"]["Code"], str(error)

    assert three_times(refuse, ask)[0] == "AccessDenied"


def test_object_is_streamed(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        answer = client("s3", url).get_object(Bucket="b", Key="k")
        return answer["ContentType"], list(answer["Body"].iter_chunks(1000))

    script = keep_alive(lambda request: response(bytes(range(256)) * 20, b"Content-Type: image/png"))
    content_type, pieces = three_times(script, ask)
    assert (content_type, b"".join(pieces)) == ("image/png", bytes(range(256)) * 20)


def test_table_speaks_json(three_times: ThreeTimes) -> None:
    def serve(request: bytes) -> bytes:
        operation = field_of(request, b"X-Amz-Target").decode()
        content = json.dumps({"Item": {"id": {"S": operation}}} if operation.endswith("GetItem") else {}).encode()
        checksum = b"x-amz-crc32: %d" % zlib.crc32(content)
        return response(content, b"Content-Type: application/x-amz-json-1.0", checksum)

    def ask(url: str) -> Any:
        table = client("dynamodb", url)
        put = table.put_item(TableName="tbl", Item={"id": {"S": "1"}})
        return without_metadata(put), table.get_item(TableName="tbl", Key={"id": {"S": "1"}})["Item"]

    assert three_times(keep_alive(serve), ask)[1] == {"id": {"S": "DynamoDB_20120810.GetItem"}}


def test_queue_speaks_the_protocol_of_its_release(three_times: ThreeTimes) -> None:
    def serve(request: bytes) -> bytes:
        if field_of(request, b"X-Amz-Target"):
            return as_json({"QueueUrls": ["http://queue.test/1"]})
        return response(
            b"<ListQueuesResponse><ListQueuesResult><QueueUrl>http://queue.test/1</QueueUrl></ListQueuesResult>"
            b"</ListQueuesResponse>",
            b"Content-Type: text/xml",
        )

    def ask(url: str) -> Any:
        return client("sqs", url).list_queues()["QueueUrls"]

    assert three_times(keep_alive(serve), ask) == ["http://queue.test/1"]


def test_played_credentials_are_good_for_the_next_service(three_times: ThreeTimes) -> None:
    assumed = (
        b"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>"
        b"<SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY</SecretAccessKey><SessionToken>AQoDYXdzEPT"
        b"</SessionToken><Expiration>2036-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>"
        b"</AssumeRoleResponse>"
    )

    def serve(request: bytes) -> bytes:
        if b"AssumeRole" in request:
            return response(assumed, b"Content-Type: text/xml")
        return response(
            b"<ListAllMyBucketsResult><Buckets><Bucket><Name>b</Name></Bucket></Buckets></ListAllMyBucketsResult>",
            b"Content-Type: text/xml",
        )

    def ask(url: str) -> Any:
        given = client("sts", url).assume_role(RoleArn="arn:aws:iam::123456789012:role/r", RoleSessionName="session")
        keys = given["Credentials"]
        temporary = {
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"],
        }
        # The values are redacted in replay; what they are good for is not.
        buckets = client("s3", url, temporary).list_buckets()["Buckets"]
        return keys["Expiration"].isoformat(), [one["Name"] for one in buckets]

    assert three_times(keep_alive(serve), ask) == ("2036-01-01T00:00:00+00:00", ["b"])


def event(kind: bytes, content: bytes) -> bytes:
    """One message of an AWS event stream: prelude, headers, content, each with its checksum."""
    headers = b""
    for name, value in ((b":message-type", b"event"), (b":event-type", kind), (b":content-type", b"text/xml")):
        headers += struct.pack("!B", len(name)) + name + struct.pack("!BH", 7, len(value)) + value
    prelude = struct.pack("!II", 16 + len(headers) + len(content), len(headers))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + content
    return message + struct.pack("!I", zlib.crc32(message))


def test_event_stream(three_times: ThreeTimes) -> None:
    messages = [event(b"Records", b"a,%d\n" % number) for number in range(3)] + [event(b"End", b"")]

    def ask(url: str) -> Any:
        answer = client("s3", url).select_object_content(
            Bucket="b",
            Key="k",
            Expression="select * from s3object",
            ExpressionType="SQL",
            InputSerialization={"CSV": {}},
            OutputSerialization={"CSV": {}},
        )
        return list(answer["Payload"])

    seen = three_times(keep_alive(lambda request: as_chunks(messages)), ask)
    assert seen == [{"Records": {"Payload": b"a,%d\n" % number}} for number in range(3)] + [{"End": {}}]


def test_pages(three_times: ThreeTimes) -> None:
    def serve(request: bytes) -> bytes:
        query = urllib.parse.parse_qs(target_of(request).partition("?")[2])
        page = int(query.get("continuation-token", ["0"])[0])
        more = b"<IsTruncated>true</IsTruncated><NextContinuationToken>%d</NextContinuationToken>" % (page + 1)
        return response(
            b"<ListBucketResult>"
            + (more if page < 3 else b"<IsTruncated>false</IsTruncated>")
            + b"<Contents><Key>k%d</Key></Contents></ListBucketResult>" % page,
            b"Content-Type: text/xml",
        )

    def ask(url: str) -> Any:
        pages = client("s3", url).get_paginator("list_objects_v2").paginate(Bucket="b")
        return [one["Key"] for page in pages for one in page["Contents"]]

    assert three_times(keep_alive(serve), ask) == ["k0", "k1", "k2", "k3"]


@pytest.mark.parametrize("mode", ["legacy", "standard"])
def test_retries(mode: str, three_times: ThreeTimes, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is waited between attempts is the SDK's own business.
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    def ask(url: str) -> Any:
        answer = client("dynamodb", url, retries={"mode": mode, "max_attempts": 3}).list_tables()
        return answer["TableNames"], answer["ResponseMetadata"]["RetryAttempts"]

    assert three_times(fails_each_first_time(as_json({"TableNames": ["t"]})), ask) == (["t"], 1)


def test_threads_share_a_client(three_times: ThreeTimes) -> None:
    def serve(request: bytes) -> bytes:
        return response(target_of(request).encode())

    def ask(url: str) -> Any:
        s3 = client("s3", url, max_pool_connections=4)

        def get(number: int) -> bytes:
            content: bytes = s3.get_object(Bucket="b", Key=f"k{number}")["Body"].read()
            return content

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(get, range(24)))

    assert three_times(keep_alive(serve), ask)[23] == b"/b/k23"
