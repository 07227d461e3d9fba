"""Which names mean that their value is a secret, and which values look like one (pure)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from math import log2
from urllib.parse import unquote_to_bytes

from cassette_http.wire.patterns import any_of


class NameKind(Enum):
    """What a name says about its value."""

    ORDINARY = "ordinary"
    WEAK = "weak"  # a secret if the value looks random
    CODE = "code"  # a secret if the value has digits, like one that is sent to a telephone
    AMBIGUOUS = "ambiguous"  # a secret unless the value is plain words: a session may be one of a conference
    SECRET = "secret"
    PASSWORD = "password"  # chosen by people: it may be a number, a word or a sentence
    CREDENTIALS = "authorization"  # a scheme and what it requires (RFC 9110 section 11.4)
    COOKIE = "cookie"
    SET_COOKIE = "set-cookie"

    __hash__ = object.__hash__  # each member is one object, and the hash of Enum is slow


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_WORD_IN_OTHER_LETTERS = re.compile(r"[^\W\d_]+|[0-9]+")
_WHOLE = {
    "authorization": NameKind.CREDENTIALS,
    "cookies": NameKind.COOKIE,
    "setcookie": NameKind.SET_COOKIE,
    **dict.fromkeys(_set_of("motdepasse mdp xpass"), NameKind.PASSWORD),
    **dict.fromkeys(_set_of("otp totp onetimecode cvc cvv"), NameKind.CODE),
    **dict.fromkeys(
        _set_of(
            "devicecode"  # RFC 8628
            " codeverifier codechallenge"  # RFC 7636; the second is made of the first
            " oauthverifier oauthnonce oauthtimestamp"  # RFC 5849; these are signed with the rest
            " rspauth cnonce"  # RFC 7616
            " samlresponse samlrequest relaystate"  # others with each log-in
            " clientkeydata"  # of a kubeconfig
            " oobcode invitecode grecaptcharesponse cfturnstileresponse mnemonic bearer psk"
            " xhoneycombteam xjfrogartapi fastlykey xauth"
        ),
        NameKind.SECRET,
    ),
    **dict.fromkeys(
        _set_of(
            # Signatures of documents, or names of keys, that open nothing: of XML, mails, a log of certificates.
            "signaturevalue dkimsignature scriptsig treeheadsignature privatekeyid encryptionkeyid signingkeyid"
            # Versions of something, so that two clients do not change it at once.
            " locktoken changetoken updatetoken"
            # Part of the name of a .NET assembly.
            " publickeytoken"
        ),
        NameKind.ORDINARY,
    ),
}
# Field names as servers, programs and traces show them: HTTP_COOKIE, X-Forwarded-Authorization,
# http.request.header.cookie.
_PASSED_ON = re.compile(
    "(?:redirect|http|request|response|req|headers?|x|amzn|proxy|forwarded|original|upstream|client|service|user|api|grpc|metadata|serverless)*"
    "(?:(authorization)(?:header)?|authheader|(cookie))"
)
# Recognised at the end of a name, as in "新密码".
_WITH_OTHER_LETTERS = (
    *("contraseña", "пароль", "hasło", "lösenord", "şifre", "密码", "密碼", "口令", "パスワード"),
    *("비밀번호", "סיסמה", "รหัสผ่าน"),
)
_PASSWORDS = _set_of(
    "password passwd pwd passphrase passcode passwort kennwort wachtwoord contrasena senha heslo adgangskode losenord"
    " passord salasana pw"
)
_WHOSE_PASS = _set_of("user db database smtp ftp mail admin root login http proxy ssh become")
_WHOSE_CODE = _set_of("mfa fa otp factor verification confirmation recovery backup sms")
_WHOSE_PHRASE = _set_of("pass seed recovery mnemonic")
_SECRET_WORDS = _set_of(
    "secret credential credentials apikey authtoken accesskey secretkey privatekey authkey sharedkey accesstoken"
    " refreshtoken idtoken clientsecret jwt signature sig csrf xsrf csrftoken xsrftoken csrfmiddlewaretoken session"
    " sessionid sessid sess phpsessid jsessionid"
)
_WITH_OTHER_MEANINGS = frozenset({"session", "signature"})
_FEW = _WITH_OTHER_MEANINGS | {"sig", "sess"}  # the plural of which is rather counted, or a list
_WEAK = _set_of(
    "key code auth state tokens keys nonce appid appkey authcode usercode crumb authorizationcode licensekey oauthstate"
    " oauthcode serialkey sid assertion ticket consumerkey clientkey servicekey storagekey webhookkey signatures"
    " sessions tokenid sign primarykey secondarykey wskey authentication clave secwebsocketprotocol pincode"
)
# Words that make "key" a secret; "x-...-key" always is one.
_KEYS = _set_of(
    "api private access subscription auth secret signing encryption application account master functions write admin"
    " shared preshared sas"
)
# Joined with another word: PGPASSWORD, identitytoken, accountkey.
_TOGETHER = re.compile(
    r"([a-z]+?)((?:pass(?:word|wd|phrase|code)|pwd|pw|secret|token|(?:api|access|secret|private)key|sess(?:ion)?id)s?)"
    f"|({'|'.join(sorted(_KEYS))})(keys?)"
)
_NO_KEYS = _set_of("idempotency cache memc surrogate partition public")
# Tokens that are counted or described, or only say where to continue, are not secrets.
_BEFORE_TOKEN = tuple(
    _set_of(
        "page continuation next cancel max min total prev previous sync skip resume start starting pagination cursor"
        " paging num stop eos bos pad input output revision consistency fencing concurrency bookmark version delta"
        " forward backward expected"
    )
)
# Language models count "tokens", so only these words make the plural a secret.
_BEFORE_TOKENS = _set_of("access refresh auth id api session bearer device csrf bot")
_AFTER = _set_of(
    "type count counts limit limits expires expiry expired expiration ttl usage url uri endpoint input name names"
    " length size status state exp iat at age scope scopes version algorithm alg method methods policy format enabled"
    " required details duration timeout lifetime time date start end rotation supported valid param parameter header"
    " reset hint label placeholder strength rules requirements file path help error errors message description title"
    " changed updated created versions domains hosts prompt regex pattern placement location attribute attributes arn"
    " ref affinity number index offset position params compatibility namespace schema class store storage provider"
    " service source template policies manager max min short mismatch field fields column question target door strings"
    " owner owners strategy standard symbol address decimals balance contract price supply"  # of a token in a chain
)
_LAST = _AFTER - {"state", "start", "end", "service"}


IN_OTHER_LETTERS = sorted({each for word in _WITH_OTHER_LETTERS for each in (word, word.title(), word.upper())})
# Each telling name contains one of these, once it is in lower case and has only letters and digits.
STEMS = [
    *_set_of(
        "token secret pass pwd key auth sess credential sig jwt csrf xsrf cookie code state nonce assertion appid sid"
        " otp verifier samlre bearer psk pw hmac honeycomb artapi kennwort wachtwoord contrasena senha heslo mdp"
        " adgangskode losenord salasana cvv cvc crumb ticket clave phrase mnemonic captcha turnstile secwebsocket"
    ),
    *IN_OTHER_LETTERS,
]


# A field of a log-in form, as named by Rails: "session[email]".
_OF_SESSION = re.compile(r"(?:\w{1,40}_)?session\[(?!(?:id|key|value|data)\])([A-Za-z_]{2,40})\]")


@lru_cache(maxsize=8192)
def kind_of(name: str) -> NameKind:
    """Return the kind of a name, in snake, kebab or camel case, or in one word."""
    if (part := _OF_SESSION.fullmatch(name)) is not None:
        name = part[1]
    words = list(_words(name))
    if "pw" in words and _is_pw_by_chance(name, words):
        return NameKind.ORDINARY
    whole = "".join(words)
    if whole in _WHOLE:
        return _WHOLE[whole]
    if (field := _PASSED_ON.fullmatch(whole)) is not None:
        return NameKind.COOKIE if field[2] else NameKind.CREDENTIALS
    if words[:1] == ["checksum"] or words[-1:] == ["supported"] or (len(words) > 2 and words[-1] in _LAST):
        return NameKind.ORDINARY  # what a server offers, or what belongs to a secret: "session_cookie_name"
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        kind = (
            NameKind.ORDINARY
            if after in _AFTER or after.removesuffix("s") in _AFTER
            else _kind_of_word(before, word, words[0] == "x" and not after)
        )
        is_id = after == "id" and (word == "token" or (word == "key" and before != "access"))
        if kind is not NameKind.ORDINARY and not is_id:
            is_other = word in _WITH_OTHER_MEANINGS and not after and words[0] != "x"
            return NameKind.AMBIGUOUS if is_other else kind
    if words[-1:] == ["pass"] and (whole == "pass" or _WHOSE_PASS.issuperset(words[-2:-1])):
        return NameKind.PASSWORD
    if whole in _PASSWORDS or whole in _SECRET_WORDS:  # in any spelling: "pAssWord"
        return NameKind.PASSWORD if whole in _PASSWORDS else NameKind.SECRET
    if words[-1:] == ["otp"]:
        return NameKind.CODE
    if whole in _WEAK or words[-1:] in (["auth"], ["crumb"], ["sign"]) or "hmac" in words:
        return NameKind.WEAK
    # Of a form, "user[key]", or of settings, "app.x-acme-key".
    last = re.split(r"[.\[]", name.removesuffix("]"))[-1]
    return kind_of(last) if last != name else NameKind.ORDINARY


def _is_pw_by_chance(name: str, words: list[str]) -> bool:
    """Ids often contain these letters: a name has one style, as "smtp_pw", "PW2", "userPw", and no single letters."""
    has_style = name.islower() or name.isupper() or name.istitle() or name.rstrip("0123456789").isalpha()
    return not has_style or any(len(word) == 1 and word.isalpha() and word != "x" for word in words)


def _words(name: str) -> Iterator[str]:
    if not name.isascii():
        yield from _WORD_IN_OTHER_LETTERS.findall(name.lower())
        return
    for word in _WORD.findall(name.replace("OAuth", "Oauth")):
        word = word.lower()
        parts = _TOGETHER.fullmatch(word) if word not in _SECRET_WORDS | _PASSWORDS else None
        yield from (word,) if parts is None else filter(None, parts.groups())


def ends_with_words(name: str, words: str) -> bool:
    """Tell whether some words are the last words of a name, or all of them, however both are spelled."""
    last, all_words = "".join(_words(words)), [*_words(name)]
    return any(last == "".join(all_words[at:]) for at in range(len(all_words)))


def spelled(name: bytes) -> str:
    """The plain form of a name whose letters may be percent-encoded, or escaped as in JSON."""
    plain = _ESCAPED_LETTER.sub(_letter, unquote_to_bytes(name))
    try:
        return plain.decode()
    except UnicodeDecodeError:
        return plain.decode("latin-1")


_ESCAPED_LETTER = re.compile(rb"\\+u([0-9a-fA-F]{4})")


def _letter(escape: re.Match[bytes]) -> bytes:
    return chr(int(escape[1], 16)).encode("utf-8", "replace")


# Chinese and Japanese have no spaces: a longer text is a sentence like "please enter your password".
_LONGEST_BEFORE = 2
_FIRST_WITHOUT_BLANKS = "\u2e80"


def _is_password(before: str, word: str) -> bool:
    if word in _PASSWORDS or (word in ("word", "code") and before == "pass"):
        return True
    if word == "phrase":
        return before in _WHOSE_PHRASE
    other = next(filter(word.endswith, _WITH_OTHER_LETTERS), None) if not word.isascii() else None
    return other is not None and (other < _FIRST_WITHOUT_BLANKS or len(word) - len(other) <= _LONGEST_BEFORE)


def _kind_of_word(before: str, word: str, is_last_of_x: bool) -> NameKind:
    if _is_password(before, word):
        return NameKind.PASSWORD
    single = word.removesuffix("s")
    if single == "code" and before in _WHOSE_CODE:
        return NameKind.CODE
    is_secret = (
        word in _SECRET_WORDS
        or (single in _SECRET_WORDS | _PASSWORDS and single not in _FEW)
        or (word == "token" and not before.endswith(_BEFORE_TOKEN))
        or (word == "tokens" and before in _BEFORE_TOKENS)
        or (single == "key" and (before in _KEYS or (is_last_of_x and before not in _NO_KEYS)))
        or (word == "assertion" and before == "client")
    )
    return NameKind.SECRET if is_secret else NameKind.ORDINARY


# Parts of words that make a name worth a look: also words that are telling only together with others, as in "app_id",
# before a token or a password, or in an object that describes its values. In lower case, as a search that ignores case
# takes three times as long.
_OF_OBJECTS = "sensitive|masked|httponly|concealed|deletion_time|plaintext|securestring"
_TELLING_PART = re.compile(
    any_of(
        [
            *STEMS,
            *_set_of(
                "app saml jfrog hook private kty websocket earer s_id identified define curl docker podman mysql"
                " mariadb redis mongo mosq sqlcmd twine ldaps keytool oracle"
            ),
            *_OF_OBJECTS.split("|"),
        ]
    )
)
_TELLING_WORD = re.compile(
    "app|saml|recaptcha|turnstile|jfrog|honeycomb|oauth|verifier|private|websocket|identified|define"
    "|curl|docker|podman|mysql|mysqldump|mariadb|redis|mongo|mongosh|mosquitto|sqlcmd|twine|ldapsearch|keytool|oracle"
    "|masterauth"
    f"|.*(?:pass|phrase|token|secret|hook|kty|earer).*|{_OF_OBJECTS}"
)
# The rest of an escape before a name, without its backslash and digits: "\\u000apassword", "\\ntoken".
_OF_ESCAPE = re.compile("[nrt]|u?[A-Fa-f]{,4}")


def words_of_names(words: set[bytes]) -> set[bytes]:
    """Choose the words (of letters only) that make a name telling, alone or together with others."""
    together = b"\n".join(words).lower()
    # Digests and ids leave many words of only these letters, none of which is telling.
    if not together.translate(None, b"abcdef\n") or _TELLING_PART.search(together) is None:
        return set()
    return {word for word in words if _TELLING_PART.search(word.lower()) is not None and _may_tell(word.decode())}


@lru_cache(maxsize=8192)
def _may_tell(word: str) -> bool:
    parts = {word, *_WORD.findall(word)}
    parts |= {part[found.end() :] for part in parts if (found := _OF_ESCAPE.match(part)) is not None}
    return any(_TELLING_WORD.fullmatch(part.lower()) or kind_of(part) is not NameKind.ORDINARY for part in parts)


def is_secret_name(name: str) -> bool:
    """Tell whether a name means that its value is a secret, whatever it looks like."""
    return kind_of(name) not in (NameKind.ORDINARY, NameKind.WEAK)


# -- values --------------------------------------------------------------------------------------------------

SHORTEST_RANDOM = 16
SIMPLE_WORD = re.compile(rb"[a-z]{1,15}|[A-Z]{1,15}|[A-Z][a-z]{1,14}")
_LEAST_BITS = 2.9  # of entropy per character; English words in a row have about as much, but few digits
_TOKEN = re.compile(r"[A-Za-z0-9_+/=.~:-]{16,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ADDRESS = re.compile(r"arn:|(?:[a-z0-9-]+\.)+[a-z]{2,10}(?::[0-9]{1,5})?\Z")  # a resource of AWS, or a host
# A folder in small letters, or the suffix of a file: "uploads/5d41402abc4b2a76.png".
_PATH = re.compile(r"(?:^|/)[a-z_-]{3,}/|/[^/]*\.[a-z][a-z0-9]{1,4}$")
_PIECES = re.compile(r"[A-Za-z0-9]+")
_CLASSES = (re.compile("[0-9]"), re.compile("[a-z]"), re.compile("[A-Z]"))
_CHANGES = re.compile("[0-9][A-Za-z]|[A-Za-z][0-9]|[a-z][A-Z]")
_CAPITALISED = re.compile("[A-Z][a-z]{2,}|^[a-z]{3,}")
_LONGEST_WORD = 20
_LONGEST_CODE = 32  # an error code in capitals: "WSAEPROVIDERFAILEDINIT"


def is_uuid(value: str) -> bool:
    return _UUID.fullmatch(value) is not None


# Cached, as the same value is often repeated in a text, or checked by several rules.
@lru_cache(maxsize=1024)
def looks_random(value: str) -> bool:
    """Tell whether a value looks random: 16 characters or more, and no words, dates, ids or paths.

    UUIDs and numbers count as ids.
    """
    if not _TOKEN.fullmatch(value) or is_uuid(value) or _PATH.search(value) or _ADDRESS.match(value):
        return False
    # Words and dates consist of short pieces; a random value has a long one.
    longest = max(_PIECES.findall(value), key=len, default="")
    if len(longest) < 10 or longest.isdigit():
        return False
    if _entropy(longest) < _LEAST_BITS:
        return False
    if longest.isalpha() and (longest.islower() or longest.isupper()):
        return len(longest) >= (_LONGEST_WORD if longest.islower() else _LONGEST_CODE)
    if _is_camel_case(longest):
        return False
    if sum(bool(each.search(longest)) for each in _CLASSES) == 2 and longest.isalpha():
        # CamelCase: words have few capitals.
        return len(_CHANGES.findall(longest)) * 4 > len(longest)
    return len(_CHANGES.findall(longest)) >= 3 or len(longest) >= SHORTEST_RANDOM


def _is_camel_case(text: str) -> bool:
    """Tell whether a text consists almost only of capitalised words, with one or two numbers."""
    words, rest = len(_CAPITALISED.findall(text)), _CAPITALISED.sub("", text)
    letters, numbers = re.subn("[0-9]+", "", rest)
    return words >= 2 and numbers <= 2 and len(letters) * 7 <= len(text)


def _entropy(text: str) -> float:
    """Bits per character, from the distribution of the characters in the text."""
    total = len(text)
    return -sum(count / total * log2(count / total) for count in Counter(text).values())
