"""A text without a telling word is one in which no rule for names finds anything."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cassette_http.cassette.secrets.hiding import Hiding
from cassette_http.cassette.secrets.quick_look import QuickLook
from cassette_http.cassette.secrets.rules import Rules, resolve_rules
from cassette_http.cassette.secrets.shapes import has_words_in_front
from cassette_http.cassette.secrets.telling_words import TellingWords
from cassette_http.cassette.secrets.vault import Vault

RULES = Rules()


@pytest.mark.parametrize(
    "text",
    [
        b'{"id": 7, "author_association": "MEMBER", "assignees": [], "description": "inside of a compressor"}',
        b'HTTP/1.1 200 OK\r\nETag: W/"5d41402abc4b2a76"\r\nX-RateLimit-Remaining: 4993\r\n\r\nhappy monkeys: 7',
    ],
)
def test_ordinary_words_tell_nothing(text: bytes) -> None:
    assert not TellingWords(RULES).words_of(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"password: x", id="word"),
        pytest.param(b'{"dbPassword2": 1}', id="in camel case, with a number"),
        pytest.param(b"X-Api-Key: x", id="with others"),
        pytest.param(b'"app_id": "x"', id="only with others"),
        pytest.param(b"\\ntoken=x", id="behind an escape"),
        pytest.param(b"\\u000apassword=x", id="behind a number in an escape"),
        pytest.param(b"%70assword=x", id="percent-encoded"),
        pytest.param(b"PGPASSWORD=x", id="written together"),
        pytest.param(b"x" * 1000 + b"password=x", id="at the end of a long run of letters"),
        pytest.param(b"Dein Passwort lautet x", id="sentence"),
        pytest.param(b"Bearer x", id="in front of a token"),
        pytest.param(b"wordbearer x", id="as the end of a word in front of a token"),
        pytest.param(b"curl -u bob:x", id="command"),
        pytest.param(b'"\\u0074oken": "x"', id="with an escaped letter"),
        pytest.param("пароль=x".encode(), id="in other letters"),
        pytest.param(b'"\\u5bc6\\u7801": "x"', id="in other letters, escaped"),
        pytest.param(b'"s_id": "x"', id="in short words"),
    ],
)
def test_telling_words_are_seen(text: bytes) -> None:
    words = TellingWords(RULES)
    for _ in range(20):
        assert words.words_of(b"ordinary; " + text)


def test_names_of_the_user_may_be_any_words() -> None:
    assert TellingWords(resolve_rules(["tenant"])).words_of(b"tenant: x")


def test_a_text_that_is_hardly_made_of_words_is_not_judged_word_by_word() -> None:
    text = " ".join(map("".join, product("abcdefghijklmn", repeat=3))).encode()
    assert TellingWords(RULES).words_of(text) == text


def test_a_word_is_whole_wherever_a_long_text_is_divided() -> None:
    for before in range(12):
        text = b"a " * (1 << 15) + b"b" * before + b" password " + b"a " * (1 << 15)
        assert b"password" in TellingWords(RULES).words_of(text)


WORDS = (
    "token secret pass word key auth authorization session id credentials sig jwt csrf xsrf cookie code state nonce "
    "assertion app sid otp verifier challenge saml response request bearer psk pw hmac x honeycomb team jfrog art api "
    "private public user client access device relay oauth timestamp c rsp fastly kty hook"
)
names = st.builds(
    lambda words, mark, change: change(mark.join(words)),
    st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=3),
    st.sampled_from(["", "_", "-", ".", " "]),
    st.sampled_from([str.lower, str.upper, str.title, lambda name: name.title().replace("_", ""), "{}2".format]),
)
forms = st.sampled_from(
    [
        '"{}": "Zk3v9QpL1xT8mR5w"', "{}=Zk3v9QpL1xT8mR5w", "{}: Zk3v9QpL1xT8mR5w", "--{} Zk3v9QpL1xT8mR5w",
        '["{}", "Zk3v9QpL1xT8mR5w"]', '{{"name": "{}", "value": "Zk3v9QpL1xT8mR5w"}}', "<a><{0}>Zk3v9QpL1xT8mR5w</{0}>",
        "id,{},b\n1,Zk3v9QpL1xT8mR5w,3\n", "ENV {} Zk3v9QpL1xT8mR5w", "\\n{}: Zk3v9QpL1xT8mR5w",
        "your {} is: Zk3v9QpL1xT8mR5w", "a {} Zk3v9QpL1xT8mR5w", 'setItem("{}", "Zk3v9QpL1xT8mR5w")',
    ]
)  # fmt: skip


@given(names, forms)
def test_where_no_word_tells_anything_no_name_does(name: str, form: str) -> None:
    text = form.format(name).encode()
    if TellingWords(RULES).words_of(text):
        return
    look = QuickLook(Hiding(RULES, Vault(1)))
    assert not look._may_have_name(text, text, 0)
    assert not has_words_in_front(text, text)
