"""A weather service, tested with pytest-vcr, urllib and requests."""

import pytest


@pytest.fixture(scope="module")
def vcr_config():
    return {
        "filter_headers": ["User-Agent"],
        "filter_post_data_parameters": [("password", "secret"), "otp"],
        "record_mode": "once",
        "ignore_localhost": False,
    }


@pytest.fixture(scope="module")
def base():
    return "http://localhost:8643"
