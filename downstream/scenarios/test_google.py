"""What the client of Google's APIs does by itself, over httplib2: calls, uploads, batches."""

from __future__ import annotations

import io
import re
from typing import Any

import httplib2
from googleapiclient.discovery import build_from_document
from googleapiclient.http import MediaIoBaseUpload

from downstream.serving import ThreeTimes, as_json, body_of, field_of, target_of
from tests.peer import keep_alive, response

FILE = {"id": "File", "type": "object", "properties": {"name": {"type": "string"}}}


def service(url: str) -> Any:
    """A made-up API, described as Google describes its own."""
    get = {
        "id": "files.get",
        "path": "files/{fileId}",
        "httpMethod": "GET",
        "parameters": {"fileId": {"type": "string", "required": True, "location": "path"}},
        "parameterOrder": ["fileId"],
        "response": {"$ref": "File"},
    }
    create = {
        "id": "files.create",
        "path": "files",
        "httpMethod": "POST",
        "request": {"$ref": "File"},
        "response": {"$ref": "File"},
        "supportsMediaUpload": True,
        "mediaUpload": {
            "accept": ["*/*"],
            "protocols": {
                "simple": {"multipart": True, "path": "/upload/files"},
                "resumable": {"multipart": True, "path": "/resumable/upload/files"},
            },
        },
    }
    document = {
        "name": "drive",
        "version": "v1",
        "rootUrl": url + "/",
        "servicePath": "",
        "baseUrl": url + "/",
        "batchPath": "batch",
        "schemas": {"File": FILE},
        "resources": {"files": {"methods": {"get": get, "create": create}}},
    }
    return build_from_document(document, http=httplib2.Http())


def test_call(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        return service(url).files().get(fileId="a b").execute()

    assert three_times(keep_alive(lambda request: as_json({"name": target_of(request)})), ask)["name"].startswith(
        "/files/a%20b"
    )


def test_resumable_upload(three_times: ThreeTimes) -> None:
    def serve(request: bytes) -> bytes:
        if request.startswith(b"POST "):
            return response(b"", b"Location: http://" + field_of(request, b"Host") + b"/session/1")
        return as_json({"name": f"{len(body_of(request))} octets"})

    def ask(url: str) -> Any:
        media = MediaIoBaseUpload(io.BytesIO(b"x" * 300_000), "text/plain", resumable=True)
        return service(url).files().create(body={"name": "n"}, media_body=media).execute()

    assert three_times(keep_alive(serve), ask) == {"name": "300000 octets"}


def test_batch(three_times: ThreeTimes) -> None:
    def serve(request: bytes) -> bytes:
        identifiers = re.findall(rb"(?i)\nContent-ID: <([^>]*)>", request)
        parts = b"".join(
            b"--part\r\nContent-Type: application/http\r\nContent-ID: <response-%s>\r\n\r\n"
            b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"name": "n"}\r\n' % identifier
            for identifier in identifiers
        )
        return response(parts + b"--part--", b"Content-Type: multipart/mixed; boundary=part")

    def ask(url: str) -> Any:
        api = service(url)
        seen: list[Any] = []
        batch = api.new_batch_http_request(callback=lambda number, answer, error: seen.append((number, answer, error)))
        for number in range(3):
            batch.add(api.files().get(fileId=str(number)))
        batch.execute()
        return seen

    assert three_times(keep_alive(serve), ask)[2][1] == {"name": "n"}
