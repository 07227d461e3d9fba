"""What the SDK of Stripe does by itself: forms, pages, retries with the same idempotency key."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from downstream.serving import ThreeTimes, as_json, body_of, fails_each_first_time, target_of
from tests.peer import keep_alive

CUSTOMER = {"id": "cus_1", "object": "customer", "email": "bob@example.com"}


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe, "api_key", "sk_test_0123456789abcdef01234567")
    monkeypatch.setattr(stripe, "enable_telemetry", False)


def test_customer_is_created(three_times: ThreeTimes, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(request: bytes) -> bytes:
        return as_json({**CUSTOMER, "description": body_of(request).decode()})

    def ask(url: str) -> Any:
        monkeypatch.setattr(stripe, "api_base", url)
        made = stripe.Customer.create(email="bob@example.com", metadata={"a": "1"})
        return made["id"], made["description"]

    assert three_times(keep_alive(serve), ask)[0] == "cus_1"


def test_pages(three_times: ThreeTimes, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(request: bytes) -> bytes:
        is_last = "starting_after" in target_of(request)
        customer = {**CUSTOMER, "id": "cus_2" if is_last else "cus_1"}
        return as_json({"object": "list", "url": "/v1/customers", "has_more": not is_last, "data": [customer]})

    def ask(url: str) -> Any:
        monkeypatch.setattr(stripe, "api_base", url)
        return [one["id"] for one in stripe.Customer.list(limit=1).auto_paging_iter()]

    assert three_times(keep_alive(serve), ask) == ["cus_1", "cus_2"]


def test_retries(three_times: ThreeTimes, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is waited between attempts is the SDK's own business.
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    def ask(url: str) -> Any:
        monkeypatch.setattr(stripe, "api_base", url)
        monkeypatch.setattr(stripe, "max_network_retries", 2)
        return stripe.Customer.retrieve("cus_1")["email"]

    assert three_times(fails_each_first_time(as_json(CUSTOMER)), ask) == "bob@example.com"
