"""Secrets are masked, science is not, and no text takes long."""

import time

import pytest

from provmanager.capture.redaction import redact_arguments, redact_json, redact_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--password=hunter2", "--password=[redacted]"),
        ("--db-password = hunter2 --n 3", "--db-password = [redacted] --n 3"),
        ("DB_PASSWORD=hunter2;x=1", "DB_PASSWORD=[redacted];x=1"),
        ("token=abc", "token=[redacted]"),
        ("api_key='abc'", "api_key='[redacted]'"),
        ("postgresql://jo:hunter2@db/x", "postgresql://jo:[redacted]@db/x"),
        ("https://a/b?X-Amz-Signature=abc&y=1", "https://a/b?X-Amz-Signature=[redacted]&y=1"),
        ("Authorization: Bearer abcdefghijk", "Authorization: Bearer [redacted]"),
        ("-H Bearer abcdefghijk", "-H Bearer [redacted]"),
        ("x eyJhbGciOiJI.eyJzdWIiOiIx.c2ln y", "x [redacted] y"),
        ("ghp_0123456789abcdef0123456789", "[redacted]"),
        (
            "a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b",
            "a [redacted] b",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", "[redacted]"),
    ],
)
def test_secrets_are_masked(text: str, shown: str) -> None:
    assert redact_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "--tokenizer=bpe",
        "--pass=8",
        "bandpass=3",
        "Unexpected token: }",
        "/data/run_2026-03-01T12:00:00@site/x",
        "root://se.example.org:1094//vo/x",
        "compass_token_count=5",
        "key=value",
        "eyJ.x.y",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact_text(text) == text


def test_the_value_after_a_secret_option_is_masked() -> None:
    assert redact_arguments(["t", "--token", "abc", "--secret", "-v", "--n", "3"]) == [
        "t",
        "--token",
        "[redacted]",
        "--secret",
        "-v",
        "--n",
        "3",
    ]


def test_strings_under_secret_names_are_masked_at_any_depth() -> None:
    assert redact_json(
        {"a": [{"dbPassword": "x", "token": "y", "token_count": 3, "secret": None, "api-key": ""}]}
    ) == {
        "a": [
            {
                "dbPassword": "[redacted]",
                "token": "[redacted]",
                "token_count": 3,
                "secret": None,
                "api-key": "",
            }
        ]
    }


NASTY = (
    *("x", "x.", "x-", "a:", "://", "://a:", "eyJ", "eyJ-", "eyJaaaaaaaa.", "token", "token "),
    *("?&", "password ", "password=", "bearer ", "-----BEGIN ", "gh", "ghp_", "x-amz-", "=", "_"),
)


@pytest.mark.parametrize("unit", NASTY)
def test_the_time_grows_no_faster_than_the_text(unit: str) -> None:
    text = unit * (500_000 // len(unit))
    begin = time.process_time()
    redact_text(text)
    assert time.process_time() - begin < 5  # a quadratic pattern takes many minutes
