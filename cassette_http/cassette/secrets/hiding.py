"""What the name of a value says about it, and what to write instead of the value (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Protocol

from cassette_http.cassette.secrets.base64_text import from_base64
from cassette_http.cassette.secrets.field_rules import COOKIE_RULES, redact_credentials
from cassette_http.cassette.secrets.names import SIMPLE_WORD, STEMS, NameKind, ends_with_words, looks_random, spelled
from cassette_http.cassette.secrets.placeholders import is_placeholder, unified
from cassette_http.cassette.secrets.rules import Rules
from cassette_http.cassette.secrets.shapes import key_span
from cassette_http.cassette.secrets.vault import WORDS_FOR_SECRETS, Vault
from cassette_http.cassette.splicing import Edit
from cassette_http.wire.patterns import any_of

STRONG = frozenset(NameKind) - {NameKind.ORDINARY, NameKind.WEAK}
# Kinds of HTTP fields whose values have a syntax of their own.
OF_FIELDS = frozenset({NameKind.CREDENTIALS, *COOKIE_RULES})

_MOST_NAMES = 10_000


class Inner(Protocol):
    """Finds secrets in a text that was decoded from a part of another; nothing if the nesting is too deep.

    `is_last`: coded texts inside it are not searched.
    """

    def __call__(self, text: bytes, /, *, is_last: bool = False) -> list[Edit]: ...


class Hiding:
    """The rules of a session, with the vault in which secrets are hidden."""

    def __init__(self, rules: Rules, vault: Vault) -> None:
        self.rules, self.vault = rules, vault
        self.kind = rules.kind
        stems = [*STEMS, *(re.sub("[^a-z0-9]", "", name) for name in rules.added)]
        # Case folding of other names differs between text and octets.
        self._stems = re.compile(any_of(stems) if all(name.isascii() for name in rules.added) else b"")
        self._ordinary: set[bytes] = set()
        self._telling: dict[bytes, NameKind] = {}

    def telling(self, names: Iterable[bytes]) -> dict[bytes, NameKind]:
        """Return the names that are not ordinary in some place, with their strongest kind; fast for known names."""
        ordinary = self._ordinary
        if ordinary.issuperset(names):
            return {}
        new = set(names).difference(ordinary)
        if len(ordinary) + len(self._telling) + len(new) > _MOST_NAMES:
            ordinary.clear()
            self._telling.clear()
        found = {name: kind for name in new if (kind := self._telling.get(name)) is not None}
        new.difference_update(found)
        # One look at all of them is cheaper than one at each.
        for name in [*filter(self._has_stem, new)] if self._has_stem(b"\n".join(new)) else ():
            kinds = set(map(self.rules.most, _readings(name)))
            if kinds != {NameKind.ORDINARY}:
                found[name] = (kinds & STRONG or {NameKind.WEAK}).pop()
                new.discard(name)
        if len(new) + len(found) <= _MOST_NAMES:
            ordinary |= new
            self._telling |= found
        return found

    def _has_stem(self, names: bytes) -> bool:
        if b"%" in names or b"\\u" in names:
            names = spelled(names).encode("utf-8", "replace")
        return self._stems.search(names.translate(_FOLDED, _NO_LETTERS)) is not None

    def secrets(self, place: str, names: Iterable[bytes]) -> list[bytes]:
        """The names that are not ordinary in a place."""
        telling = self.telling(names)
        return sorted(name for name in telling if self.kind(place, name) is not NameKind.ORDINARY)

    def hidden(
        self, kind: NameKind, value: bytes, is_matching: bool = False, *, is_entered: bool = False
    ) -> bytes | None:
        """What to write instead of a value, according to the kind of its name; None if it stays.

        `is_entered`: it is certainly a value, and not a text about one.
        """
        if is_matching and (_says_nothing(value) if kind in STRONG else _is_blanked(value)):
            return b"{{secret}}"
        if kind is NameKind.CREDENTIALS:
            if _STANDS_FOR_ONE.fullmatch(value.rpartition(b" ")[2]):
                return None
            hidden = redact_credentials(value, self.vault)
        elif kind in COOKIE_RULES:
            hidden = COOKIE_RULES[kind](value, self.vault)
        elif not is_secret_value(kind, value, is_entered=is_entered) or (
            kind is NameKind.AMBIGUOUS and not (is_entered or is_matching) and _is_said(value)
        ):
            return None
        elif not is_matching and (key := key_span(value)) is not None:
            hidden = value[: key[0]] + self.vault.hide(value[slice(*key)]) + value[key[1] :]
        else:
            hidden = self.vault.hide(value, is_searched=_is_distinct(kind, value))
        return None if hidden == value else hidden

    def instead(self, kind: NameKind, value: bytes, is_matching: bool) -> bytes:
        """What to write instead of a value whose length is written with it; returns the value if it stays.

        For matching, the numbers of placeholders are removed, so they do not change the length.
        """
        if is_matching and kind in STRONG:
            return b"{{secret}}"
        hidden = self.hidden(kind, value, is_entered=True) or value
        return unified(hidden) if is_matching else hidden


def _says_nothing(value: bytes) -> bool:
    """Tell whether a program without a secret, or that must not show it, would write this instead."""
    is_nothing = value.strip().lower() in _NOTHING or _SHORT_WORD.fullmatch(value) is not None
    return is_nothing or (_STANDS_FOR_ONE.fullmatch(value) is not None and not is_placeholder(value))


def _is_blanked(value: bytes) -> bool:
    """Tell whether another recorder wrote this instead of a value; with a weak name, anything else may be real."""
    return value.strip(b"<>[]{}* ").lower() in WORDS_FOR_SECRETS


def _readings(name: bytes) -> Iterator[bytes]:
    """What a name may be: also only its last word, or what follows an escape whose backslash is not part of it."""
    for each in (name, name.rpartition(b" ")[2]):
        yield each
        yield _ESCAPE.sub(b"", each)


_KEY_OF = re.compile(rb"(token|password|session|cookie)_?key\Z", re.IGNORECASE)  # the key under which one is stored
_CLASS = re.compile(rb"(?:[A-Z][a-z]+)+(?:Session|Token|Secret|Signature|Credentials?)")  # a class of a program
_IDENTIFIER = re.compile(rb"[A-Za-z_]+(?:-[A-Za-z_]+)*")
_ESCAPE = re.compile(rb"^(?:u[0-9a-fA-F]{4}|[nrt])")
_FOLDED = bytes(octet + 0x20 if 0x41 <= octet <= 0x5A else octet for octet in range(256))
_NO_LETTERS = bytes(octet for octet in range(128) if not chr(octet).isalnum() and octet != 0x0A)

_NOTHING = frozenset({b"", b"none", b"null", b"undefined"}) | WORDS_FOR_SECRETS
# A path begins with a word in lower case; a random value may begin with a slash as well, but not end like base64.
_URL = re.compile(
    rb"(?![A-Za-z0-9+/]{16,}={1,2}\Z)"
    rb"(?:[A-Za-z][A-Za-z0-9+.-]*://|\.{0,2}/(?:[a-z{:][a-z0-9._~{}:-]{0,40})?(?:[/?#]|\Z)|urn:|arn:"
    rb"|[a-z]{3,20}(?:/[a-z0-9._{}-]{1,40}|/[A-Z_{}-]{1,40}){2,20}\Z"  # a name at some clouds: projects/p/secrets/s
    rb"|[a-z]+(?:-[a-z]+){0,9}/[a-z]+(?:-[a-z]+){0,9}\Z)"  # and in Kubernetes: default/my-tls
)
_FOLDER = re.compile(rb"(?:/[A-Za-z][\w.-]{0,40}){2,20}/?")  # the variable of the working directory is called PWD
_SENTENCE = re.compile(rb"[A-Z][^ ]* .*[.!?](?:[)\"']| .*)?", re.DOTALL)
_STANDS_FOR_ONE = re.compile(
    rb"[*x.\xe2\x80\xa2\xa6-]+|your[-_][a-z_-]+|\$?\{.*\}|\$\(.*\)|<.*>|\[.*\]|(?:%\(?[\w]*\)?[sdqv][:@/ ]?)+"
    rb"|eyJ[\w-]{1,60}(?:\.{3}|\xe2\x80\xa6)",  # the head of a JWT, or of other JSON
    re.IGNORECASE | re.DOTALL,
)
# As in a list of packages: {"express-session": "^1.17.3"}.
_VERSION = re.compile(
    rb"(?:[~^=v]|[<>]=?)?[0-9]{1,5}\.[0-9]{1,5}\.[0-9]{1,5}(?:[.+-][0-9A-Za-z.+-]{1,40})?"
    rb"|(?:[~^]|[<>]=?)[ ]?[0-9]{1,5}(?:\.[0-9]{1,5})?|[0-9]{1,5}(?:[ ]\|\|[ ][0-9]{1,5})+|latest"
    rb"|(?:workspace|file|link|npm):\S{1,100}"
)
# The digest of a package, whose name may be telling (W3C Subresource Integrity): {"csrf": {"integrity": ...}}.
_INTEGRITY = re.compile(rb"sha(?:1|256|384|512)-[A-Za-z0-9+/]{27,}={0,2}")
# A signature with ECDSA (RFC 3279 section 2.2.3), for example of a package: it proves something, but opens nothing.
_SIGNATURE = re.compile(
    rb"ME[QUY]CI[A-Za-z0-9+/]{84,96}={0,2}|304[4-6]022[01][0-9a-f]{128,136}|-----BEGIN (?:PGP|SSH) SIGNATURE-----.*",
    re.DOTALL,
)
# How a program describes a value: its type, a colour, an option, an expression that matches it.
_OF_A_PROGRAM = re.compile(
    rb"(?:string|text|str|bytes|bool(?:ean)?|int(?:eger)?|float|number|object|array|list|dict|uuid|date(?:time)?|any)"
    rb"(?:\[[^\[\]]*\]|<[^<>]*>|\([^()]*\))?[?!]?|(?:second|minute|hour|day)s|#[0-9a-f]{3,8}|--[a-z]+(?:-[a-z]+)*|/(?:\^|\[)\S*/[a-z]{0,4}"
    rb"|\S*(?:\[\^?[\w\\-]+\]|\\[wds])[*+]\S*|(?:required|nullable|sometimes|string)(?:\|[\w:,]+)+"
    rb"|0x[0-9a-f]{40}",  # the address of a token in a blockchain
    re.IGNORECASE,
)
# Words that describe a value, or mean that there is none.
_NO_VALUE = re.compile(
    rb"(?:required|attribute|method|function|property|class|module|optional|absent|present|valid|string|str|text|bytes|int|integer|number|bool|boolean|any|object|array|uuid|invalid|missing"
    rb"|expired|re(?:freshed|voked|newed|jected|moved|ceived)|issued|created|rotated|generated|updated|deleted|found"
    rb"|sent|used|verified|accepted|failed|denied|ok|hidden|unknown|empty|unset|changed?|forgot|reset|true|false|null|none|nil|undefined|yes|no|on|off"
    rb"|enabled|disabled|unchanged|inherit|msgstr|(?:files|compat|nis)(?:[ ][a-z]+)*"
    rb"|(?:c_)?u?int(?:8|16|32|64)(?:_t)?|float(?:32|64)|u?int(?:8|16|32)(?:clamped)?array|sha-?(?:1|256|384|512)|md5|base64|oauth-?2"
    rb"|utf-?(?:8|16))[!?]?(?:(?:[ ]?[|,;)\]}]|[ ]=)(?!.*[\w+/-]{16}).*)?|-[0-9]+|[|>][+-]?"
    rb"|(?:\"\"|'')(?:[ ]?[,;)\]}].*)?|\W",
    re.IGNORECASE,
)
# How a program names a field for users: "Password", "Confirm new password", "API key".
_THING = rb"(?:password|passphrase|token|key|secret|session|cookie|signature|credentials|authorization)s?"
_LABEL = re.compile(
    rb"(?:[A-Z][a-z]+ |API |CSRF |ID )?"
    rb"(?i:(?:your|an?|new|old|current|my|api|access|secret|private|refresh|session|csrf|client|user|account|login) )*"
    rb"(?i:%b)(?: (?:id|again|confirmation|name|value))?[ :*.?]*" % _THING
)
# The same in other languages, whatever is around it.
_LABEL_IN_OTHER_LANGUAGES = re.compile(
    "[^0-9]{,30}(?:passwort|kennwort|zugangs|geheimnis|mot de passe|jeton|clé |contraseña|clave|ficha de acceso"
    "|senha|chave|palavra|segred?o|segreto|secreto|geheim|schlüssel|секрет|parola|wachtwoord|lösenord|hasło|heslo|adgangskode|şifre|пароль|токен|ключ|密码|密碼|令牌|密钥|パスワード|トークン|비밀번호|토큰"
    "|[a-z]token$)[^0-9]{,30}",
    re.IGNORECASE,
)
# Words in statements about a value, which are unlikely in values.
_PROSE = re.compile(
    rb"\b(?:must|should|shall|cannot|can't|can|may|is|are|was|were|be|been|has|have|does|do|not|your|please|enter|choose"
    rb"|click|see|use|required|optional|invalid|missing|incorrect|wrong|expired|changed|reset|characters?|least|field|if|when|too|expected)\b",
    re.IGNORECASE,
)
_REMARK = re.compile(
    rb"(?:is|are|was|has|have|had|must|should|can(?:not|'t)|needs|do(?:es)?(?:n't| not))[ ]"
    rb"(?:(?:a|at|be|been|no|not|only|to|too)[ ]|blank|contain|expired|incorrect|invalid|match|missing|required).*",
    re.DOTALL,
)
_DIGIT = re.compile(rb"(?<!\{)[0-9]")  # not "{0}", which a program fills in
_OF_SENTENCES = re.compile(rb"\b(?:the|an?|it|of|to|and|or|for|with|by|in|on|this|that)\b", re.IGNORECASE)
# For a conference, a term or a desktop: "morning", "fall-2026", "test-3.8", "2". A longer value may be a secret.
_SOME_WORDS = re.compile(
    rb"(?!.{13})(?:[0-9]{1,5}[/-])?(?:[A-Za-z]|\xc3[\x80-\xbf])+(?:[-_./](?:[A-Za-z]+|[0-9]+))*"
    rb"|[0-9]{1,5}(?:[/-][0-9]{1,4})?",
    re.DOTALL,
)
# A word ({"token": "hello"}), a currency or a stand-in: no generator makes such a token.
_SHORT_WORD = re.compile(rb"[a-z]{1,5}|[A-Z]{1,5}")
# A word of digits and letters that is not a date.
MIXED = re.compile(rb"(?=[^\s]*[0-9])(?=[^\s]*[A-Za-z])(?![0-9]{4}-[0-9]{2}-)[^\s(){}\[\];,<>]{6,200}")
_CODE = re.compile(rb"(?=.*[0-9])[0-9A-Za-z][0-9A-Za-z -]{2,20}|[A-Z]{4}-[A-Z]{4}")
_ID = re.compile(rb"0x|[A-Z]{2}[0-9a-f]{32}\Z")  # the last of Twilio, whose "sid" is one
_LONGEST_SECRET = 1 << 16


# Cached, as some texts have the same value ten thousand times.
@lru_cache(maxsize=256)
def is_secret_value(kind: NameKind, value: bytes, *, is_entered: bool = False) -> bool:
    """Tell whether a value can be a secret: not a URL, not a digest, and not masked already.

    Unless it was entered by somebody (`is_entered`), it must not be a sentence, label or version either.
    """
    if not value.strip() or is_placeholder(value) or _STANDS_FOR_ONE.fullmatch(value) or len(value) > _LONGEST_SECRET:
        return False
    if _INTEGRITY.fullmatch(value) or _SIGNATURE.fullmatch(value):
        return False
    if len(value) == 1 and kind is not NameKind.PASSWORD:
        return False  # as in <a accesskey="n">
    if kind is NameKind.CODE:
        return _CODE.fullmatch(value) is not None or looks_random(value.decode("latin-1"))
    if kind is NameKind.WEAK:
        return looks_random(value.decode("latin-1")) and not (_ID.match(value) or _is_text_in_base64(value))
    if not is_entered and (_is_text_about_one(value) or (kind is NameKind.SECRET and _SHORT_WORD.fullmatch(value))):
        return False
    return not (_FOLDER.fullmatch(value) if kind is NameKind.PASSWORD else _URL.match(value))


def _is_text_in_base64(value: bytes) -> bool:
    """Tell whether a value is a path or a name in base64; random values rarely are. With a colon it may be a pair."""
    text = from_base64(value)
    return text is not None and re.fullmatch(rb"/[!-9;-~]+", text) is not None


def _is_text_about_one(value: bytes) -> bool:
    if any(pattern.fullmatch(value) for pattern in (_VERSION, _OF_A_PROGRAM, _NO_VALUE, _REMARK)):
        return True
    if value[:1].isupper() and _LABEL.fullmatch(value):
        return True
    if not value[:1].islower() and _LABEL_IN_OTHER_LANGUAGES.fullmatch(value.decode("utf-8", "replace")):
        return True
    is_sentence = _SENTENCE.fullmatch(value) is not None
    return is_sentence and bool(_PROSE.search(value) or (_OF_SENTENCES.search(value) and not _DIGIT.search(value)))


def _is_said(value: bytes) -> bool:
    """Tell whether a value is a few words or a small number, and not a session or signature of a program."""
    parts = value.split()
    if len(parts) == 1 and b"(" not in value:
        return _SOME_WORDS.fullmatch(value) is not None
    return not any(MIXED.fullmatch(part) or looks_random(part.decode("latin-1")) for part in parts)


@lru_cache(maxsize=256)
def is_own_name(name: bytes, value: bytes) -> bool:
    """Tell whether a value only repeats its name, its last words, or a class with that name, in any spelling.

    As in {"refresh_token": "refreshToken", "new_password": "password"}, in TOKEN_KEY = "auth_token", and in
    session: "ClientSession".
    """
    if _IDENTIFIER.fullmatch(value) is None or len(value) <= 2:
        return False
    if ends_with_words(name.decode("latin-1"), value.decode()):
        return True
    if (key := _KEY_OF.search(name)) is not None:
        name = key[1]
    elif _CLASS.fullmatch(value) is None:
        return False
    return ends_with_words(value.decode(), name.decode("latin-1"))


def is_prose(value: bytes, kind: NameKind = NameKind.PASSWORD) -> bool:
    """Tell whether several words are a statement about a value; only a password may be a sentence."""
    if b" " not in value:
        return False
    is_sentence = _SENTENCE.fullmatch(value) and (_OF_SENTENCES.search(value) or not _DIGIT.search(value))
    is_remark = _PROSE.search(value) or is_sentence
    return bool(is_remark or (kind is not NameKind.PASSWORD and _OF_SENTENCES.search(value)))


def _is_distinct(kind: NameKind, value: bytes) -> bool:
    """Tell whether a value can be searched elsewhere: an ordinary word would be found where it is only a word."""
    return kind is NameKind.PASSWORD or not (SIMPLE_WORD.fullmatch(value) or is_prose(value, kind))
