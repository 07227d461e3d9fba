"""Secrets in texts for people: settings, logs, commands, database connection strings (pure).

A name and a value are on a line of their own ("password: two words", also as a line of a string), or next to each other
within a line ("user=bob password=hunter", "--token abc"). Programs and sentences have such lines as well, so values
that look like code, or are about the value, are left alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeAlias
from urllib.parse import quote_plus, unquote_to_bytes

from cassette_http.cassette.secrets.hiding import MIXED, OF_FIELDS, STRONG, Hiding, is_own_name, is_prose
from cassette_http.cassette.secrets.json_members import unescaped
from cassette_http.cassette.secrets.names import SIMPLE_WORD, NameKind, is_uuid, looks_random
from cassette_http.cassette.splicing import Edit
from cassette_http.wire.patterns import to_pattern

_WIDE_SIGNS = ((b"\xef\xbc\x9a", b":"), (b"\xef\xbc\x9d", b"="))  # as wide as a Chinese character, in UTF-8
_SIGN = rb"[ \t]*+(?:=>|:=|[:=](?!=)|%b)[ \t]*+" % b"|".join([wide for wide, _ in _WIDE_SIGNS])
_QUOTED = (
    rb"(?:[bBrRuUfF@$]{1,2}(?=[\"']))?(?P<quote>\\*+[\"'`])"
    rb"(?P<quoted>(?:(?!(?P=quote))(?:\\++.|[^\\\r\n])){1,500}+)(?P=quote)"
)
_WORDS = rb"(?P<name>[\w.\x80-\xee-]{1,80}+(?:[ ][\w.\x80-\xee-]{1,40}+){0,2})"
_LINE = to_pattern(
    rb"(?:^|(?<=<!--))[ \t]*+(?:[0-9][0-9T:.,Z+-]{9,40}[ \t]++)?"
    rb"(?:(?:[-*#>$;]|//|data:|export|set|ENV|ARG)[ \t]++)?"
    rb"(?:\$env:|\[|\*\*)?%b(?:\]|\*\*)?%b(?:\*\*[ \t]*+)?"
    rb"(?:%b(?=[ \t]*+(?:[,;)}\]#>]|//|/>|\r?$))|(?P<plain>[^\r\n]++))" % (_WORDS, _SIGN, _QUOTED),
    re.MULTILINE,
)
_LINE_OF_STRING = to_pattern(
    rb"(?:\\++[nr]|(?P<open>[\"'`]))[ \t]*+%b%b"
    rb"(?P<plain>(?:(?(open)(?!(?P=open))|(?!\"))(?:[^\\\r\n]|\\++[\"'/u]))++)(?=[\"'`\\])" % (_WORDS, _SIGN)
)
_LIST_HEAD = to_pattern(rb"[ ]*+(?:-[ ])?(?P<name>[\w.-]{2,80}+):[ ]*+\r?\n")
_LIST_ITEM = to_pattern(rb"[ ]*+-[ ]++(?:%b|(?P<plain>[^\s\"'{\[&*!|>#][^\r\n:]*+))[ ]*+(?:\r?\n|\Z)" % _QUOTED)
# Other options have the name in their value: "--env PASSWORD=x".
_OF_PAIRS = rb"(?:env|set(?:-string)?|from-literal|build-arg|var|data(?:-raw|-urlencode)?|form|extra-vars)[ =]"
_OPTION = rb"--(?!%b)(?P<option>[A-Za-z][\w-]{1,60}+)(?:[ =]|[\"'][ ]*+,[ ]*+(?=[\"']))" % _OF_PAIRS
# Backwards, a name begins with a certain character, and a search for one octet is the fastest.
NAME_BACKWARDS = rb"([\w.$@ /\[\]~%*+!\x80-\xee-]{1,80}+(?:(?<=u)\\[\w.$@ /\[\]~%*+!\x80-\xee-]{0,80}+){0,20}+)"
ACCESSORS = rb"(?:\}[ ]?[a-z; ]{3,60}\{ )?"  # backwards, of a property in C#: "Password { get; set; } = "
_EMAN = rb"[ \t]*+" + ACCESSORS + rb"(?:\][\"'`]\\*+|\]?)" + NAME_BACKWARDS
_BEFORE_COLON, _BEFORE_EQUALS = to_pattern(rb":" + _EMAN), to_pattern(rb"=:?" + _EMAN)
_OPTION_NAME = to_pattern(rb"--([A-Za-z][\w-]{1,60}+)[ =\"']")
_WITHIN = to_pattern(
    rb"(?:(?<=[\s,;|({\[\"'`:=>])|\A)(?:%b|(?P<name>(?!--)[\w.\x80-\xee-]{2,80}+)=(?!=))"
    rb"(?:%b|(?P<plain>(?:[^\s\"'`<>\\&;]|\\++u(?!00(?:3[cCeE]|2[267]))[0-9a-fA-F]{4}|&(?![\w.\[\]-]{1,80}+=))++))"
    rb"(?P<behind>(?:;(?![ ]\w{1,40}=)|\()?+)" % (_OPTION, _QUOTED)
)
_SUBSCRIPT = to_pattern(rb"\[\\*+[\"'](?P<name>[\w.-]{1,80}+)\\*+[\"']\][ \t]*+=[ \t]*+%b(?![ \t]*[.%%+])" % _QUOTED)
# With a type, or in the middle of a line: backwards from the sign to the name, as a search that begins with names would
# try each word.
_DECLARED_VALUE = to_pattern(
    rb"=[ \t]*+(?:[\w:]{0,20}(?i:str|string)(?:Literal|::from)?\()?%b"
    rb"(?=[ \t]*+(?:[;,)}\]]|//|#|\r?$|\\++[nr\"]|WHERE\b|\Z|\.(?:to_string|to_owned|into)\())" % _QUOTED,
    re.MULTILINE,
)
_DECLARED_NAMES = (
    to_pattern(rb"([A-Za-z_][\w-]{1,60})(?: \{[a-z; ]{3,60}\})?[ \t]*\Z"),
    # char name[8], name: String, var name string, Const name As String
    to_pattern(
        rb"(?<![\w-])([A-Za-z_]\w{1,60})"
        rb"(?:\[\w{0,8}\]|[ ]?:[ ]?[&A-Za-z][\w<>\[\].,|?' ]{0,40}|[ ](?:As[ ])?[A-Za-z]\w{0,20})[ \t]*\Z"
    ),
)
_LONGEST_DECLARATION = 100
# In a script on one line.
_ASSIGNED = to_pattern(
    rb"(?:\b(?:const|let|var)[ \t]++|(?:window|self|globalThis|this|document)\.)(?P<name>[\w$]{2,80}+)[ \t]*+=[ \t]*+%b"
    rb"(?=[ \t]*+[;,)}]|\s*+</)" % _QUOTED
)
_LISTED = to_pattern(
    rb"[,;|][ \t]++(?P<name>[\w.-]{1,80}+)[ \t]*+:[ \t]*+"
    rb"(?P<plain>(?:[^,;|\"'`\\\r\n{}()\[\]]|[\"'](?=\w)){1,200}+)(?=[,;|\r\n\"]|\Z)"
)
_NAME = rb"(?P<name>[\w.-]{2,80}+)"
_BREAK = rb"(?:\r?\n|(?:\\r)?\\n)"


_Form: TypeAlias = tuple[int, bytes, re.Pattern[bytes]]


def _form(marker: bytes, pattern: bytes) -> _Form:
    # One octet is found twenty times as fast as several, and few texts have these.
    rare = next((octet for octet in b"\t|>(V" if octet in marker), marker[0])
    return rare, marker, to_pattern(pattern % {b"name": _NAME, b"quoted": _QUOTED, b"break": _BREAK}, re.MULTILINE)


# Rare forms, each with a marker that all such texts contain.
_BLOCK = (
    rb"^(?P<indent>[ ]*+)(?:-[ ])?%(name)b:[ ]*+[|>][0-9+-]{0,2}[ ]*+\r?\n"
    rb"(?P=indent)[ ]++(?P<plain>[^\r\n]++(?:\r?\n(?P=indent)[ ]++[^\r\n]++){0,200})"
)
_SELDOM = (
    _form(b"=>", rb"(?<=[\s,({\[:])%(name)b[ ]?=>[ ]?%(quoted)b"),  # {:password=>"x"} of Ruby
    _form(b": |", _BLOCK),
    _form(b": >", _BLOCK),
    _form(b"{", rb"(?P<flow>[{,])[ ]*+%(name)b:[ ]++(?P<plain>[^\s,{}\[\]\"']{16,500}+)(?=[,}])"),
)
# Forms in which neither a colon nor an equals sign follows the name.
_OTHERS = (
    _form(b"ENV ", rb"(?:^|\\n)[ \t]*+ENV[ \t]++%(name)b[ \t]++(?:%(quoted)b|(?P<plain>[^\r\n\\\"]++))"),
    _form(b"#define ", rb"^[ \t]*+#define[ \t]++%(name)b[ \t]++%(quoted)b"),
    _form(
        b"alue:",  # "- name: PASSWORD", and below it "value: x"
        rb"(?:^|\\n|[\">])[ -]*+(?i:name|key):[ ]*+[\"']?%(name)b[\"']?[ ]*+%(break)b"
        rb"[ ]*+(?i:value):[ ]*+(?:%(quoted)b|(?P<plain>[^\r\n\\\"]++))",
    ),
    _form(b"(", rb"\((?P<mark>\\*+[\"'`])%(name)b(?P=mark)[ ]?,[ ]?%(quoted)b[ ]?\)"),  # setItem("token", "x")
    _form(b"\t0\t", rb"\t0\t%(name)b\t(?P<plain>[^\s]++)"),  # a file of cookies, by curl
    _form(b"TRUE\t", rb"\tTRUE\t[1-9]\d*\t%(name)b\t(?P<plain>[^\s]++)"),
    _form(
        b"machine ",
        rb"(?:\b|(?<=\\[nrt]))machine\s++\S++(?:\s++(?:login|account)\s++\S++){0,2}"
        rb"\s++(?P<name>password)\s++(?P<plain>[^\s\"'\\]++)",
    ),
)
_NOTHING = to_pattern(rb"(?!)")
_PASSWORD_OF_COMMAND = to_pattern(
    rb"(?i:IDENTIFIED[ ]+(?:WITH[ ]+[\w'\"]{1,60}+[ ]+)?(?:BY|AS)[ ]+(?:PASSWORD[ ]+)?(?=\\*['\"]))%b"
    rb"|(?:sshpass[ ]+-p[ ]*\\*[\"']?|(?:requirepass|masterauth)(?:[ ]+|\\*\"[ ]*,[ ]*\\*\"))"
    rb"(?P<plain>(?![$<{%%*])[^\s\"'\\]{3,200}+)" % _QUOTED
)
_ACCOUNT = to_pattern(rb"\b(?:user|to|role|login)[ ]+\S+[ ]+\Z", re.IGNORECASE)
_LONGEST_ACCOUNT = 140
_WORDS_OF_COMMANDS = (b"IDENTIFIED", b"identified", b"sshpass", b"requirepass", b"masterauth")
_ENDS_COMMAND = to_pattern(rb"(?<!\\)\n|[;|&]")
# Options without a name, which are passwords of some commands: "docker login -u bob -p x", "mysql -uroot -px".
_OPTIONS = {
    b"curl ": rb"(?:-u|--user)[ =]?\\*[\"']?[\w.@+-]{1,80}+:",
    b"docker login ": rb"-p ",
    b"podman login ": rb"-p ",
    b"twine ": rb"-p ",
    b"mongo": rb"-p ",
    b"mysql": rb"-p(?=\S*[0-9])",
    b"mariadb": rb"-p(?=\S*[0-9])",
    b"redis-cli ": rb"-a ",
    b"mosquitto_": rb"-P ",
    b"sqlcmd ": rb"-P ?",
    b"ldapsearch ": rb"-w ?",
    b"keytool ": rb"-(?:store|key)pass ",
}
_OPTION_OF = {
    # But "-p 3306:3306" are ports.
    command: to_pattern(
        rb"(?<=\s)%b\\*[\"']?(?P<plain>(?![$<{%%*-]|(?:[0-9.:]*:)?[0-9]{1,5}(?:[\s\"'\\/]|\Z))[^\s\"'\\]{3,200}+)"
        % option
    )
    for command, option in _OPTIONS.items()
}
_WORDS_WITH_OPTIONS = frozenset(re.split(rb"[ _-]", command)[0] for command in _OPTIONS)
_LONGEST_COMMAND = 1000
_OTHER_FIELDS = to_pattern(
    rb"^(?!(?:proxy-)?auth|www-auth|(?:set-)?cookie|content-|[a-z]+ )[^\r\n=]*+=[^\r\n]*", re.IGNORECASE | re.MULTILINE
)
_CONNECTION_NAMES = (
    *(b"server", b"host", b"data source", b"user id", b"uid", b"user", b"username", b"database", b"driver"),
    b"endpoint",
)
# From the sign on, which is found at once.
_CONNECTION = to_pattern(
    rb"=(?:%b)[^;\"'\r\n]{1,500};" % b"|".join([rb"(?<=\b%b=)" % name for name in _CONNECTION_NAMES]), re.IGNORECASE
)
_CONNECTION_PART = to_pattern(
    rb"(?:;|(?P<first>^|(?<=[\"'])))(?P<name>[\w .-]{2,60}+)=(?P<plain>(?:[^;\"\r\n]|\"(?=[\w])){1,500}+)"
    rb"(?(first)(?=;[\w .-]{2,60}+=))",
    re.MULTILINE,
)

# Lines that only programs have. In a program, what has no quotes is code and not a secret, except in a comment.
_OF_A_PROGRAM = to_pattern(
    rb"(?:^|\\n|^\xef\xbb\xbf)[ \t]*(?:(?:async )?def \w+\(|class \w+[(:{ ]|from [\w.]+ import \w"
    rb"|import [\w.]+(?: as \w+)?;?\r?$|#include [<\"]|using [\w.]+;"
    rb"|(?:export )?(?:interface|type|enum) \w+ (?:=|\{|extends )"
    rb"|func \w*\(|(?:export |async )*function\b[ \w*]*\(|(?:const|let|var) [\w{])",
    re.MULTILINE,
)
_IS_MARKUP = to_pattern(rb"\s*+<[!?A-Za-z]")  # markup contains programs and other texts
_EXPRESSION = to_pattern(rb"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*[,;:)\]}]*")
_IN_COMMENT = to_pattern(rb"[ \t]*(?:#|//|\*|--|;|\"\"\")")
_JOINED = to_pattern(rb"[bBrRuUfF]{0,2}([\"'`]).*?\1[ \t]*(?:[+%.]|if\b)|[\w$.]+[ \t]*[+.][ \t]*[\"'`]")
_ATTRIBUTE = to_pattern(rb"(?:[A-Za-z_]\w*\.)+([A-Za-z_]\w*)[,;:)\]}]*")
_LONGEST_CALL = 40
_CALLED = to_pattern(rb"\w+\Z")
# The arguments of these calls are not secrets.
_ASKING_CALL = to_pattern(
    rb"(?:log|info|debug|warn|warning|error|fatal|assert\w*|delete|remove|get|has|is|t|tr|translate|label|replace)\Z",
    re.IGNORECASE,
)
_TITLE = to_pattern(rb"(?:an?|the|how|why|what|when|where|who|my|our|some|all|no) [a-z]", re.IGNORECASE)
_MORE_WORDS = to_pattern(rb"(?: [a-z]+){2}")
_DIGIT = to_pattern(rb"[0-9]")
_TYPED = rb"[A-Za-z_][\w.\[\]|, ]{0,60}[ ]=[ ]"  # a type, and what is assigned
_CALL = to_pattern(rb"[\w.$]+[(\[]|%b" % _TYPED)
# The end of a text that was opened before the name, or escaped markup.
_BEHIND_TEXT = to_pattern(rb"[ \t]*(?:[+,%.)\]};]+[ \t]|[)\]};,]+\Z)|&(?:lt|#x3c|#60)\b|\W\Z", re.IGNORECASE)
_JOINING_WORDS = frozenset(
    {b"and", b"or", b"is", b"was", b"to", b"with", b"for", b"in", b"of", b"flag", b"option", b"arg"}
)
_NEXT_PAIR = to_pattern(rb"&[\w.\[\]-]{1,80}=")
_COMMENT = to_pattern(rb"[ \t]+(?:#|//|-->)|-->")
_PATH = rb"(?:(?:\?\.|\.|::|->)[$A-Za-z_][\w$]*+)"
_CODE = to_pattern(
    rb"[({\[<|!]|(?:new|await|return|function|async|lambda|typeof)\b|.*[,;{(\\]\Z"
    rb"|%b|[$A-Za-z_][\w$]*+(?:%b*+(?::\w++)?[ ]?[(\[]|%b++[)}\]:]*+\Z)" % (_TYPED, _PATH, _PATH),
    re.DOTALL,
)
_DATE = to_pattern(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}\b")
# Such names are also ordinary words: a plain word after one is unlikely to be a secret.
_AMBIGUOUS = to_pattern(rb"(?!.*token)(?:.*(?:sess|sig|credential|csrf|xsrf))|(?:self|this|cls)\.", re.IGNORECASE)


def names_in_lines(text: bytes, words: bytes) -> list[bytes]:
    """All names in other forms than before a colon or an equals sign, as in "--token abc".

    `words` are the telling words of the text.
    """
    names = _OPTION_NAME.findall(text) if text.find(b"--") >= 0 else []
    has_commands = any(word in words for word in (*_WORDS_OF_COMMANDS, *_WORDS_WITH_OPTIONS))
    return names + [name for name, _ in chain(_in_forms(_OTHERS, text), _in_commands(text) if has_commands else ())]


def with_narrow_signs(text: bytes) -> bytes:
    """Replace colons and equals signs of double width by the usual ones."""
    for wide, narrow in _WIDE_SIGNS if 0xEF in text and text.find(b"\xef\xbc") >= 0 else ():
        text = text.replace(wide, narrow)
    return text


def _in_forms(
    forms: Iterable[_Form], text: bytes, start: int = 0, stop: int = sys.maxsize
) -> Iterator[tuple[bytes, re.Match[bytes]]]:
    for rare, marker, pattern in forms:
        if rare in text and text.find(marker, start, stop) >= 0:
            for found in pattern.finditer(text, start, stop):
                yield found["name"], found


def _in_commands(text: bytes, start: int = 0, stop: int = sys.maxsize) -> Iterator[tuple[bytes, re.Match[bytes]]]:
    """Passwords in commands that have no name, such as those after options of curl."""
    if any(text.find(word, start, stop) >= 0 for word in _WORDS_OF_COMMANDS):
        for found in _PASSWORD_OF_COMMAND.finditer(text, start, stop):
            is_said = found[0].startswith(b"identified")  # about anything, and in SQL, which may be in small letters
            if not is_said or _ACCOUNT.search(text, max(start, found.start() - _LONGEST_ACCOUNT), found.start()):
                yield b"password", found
    for command, option in _OPTION_OF.items():
        for found in option.finditer(text, start, stop) if text.find(command, start, stop) >= 0 else ():
            at = text.rfind(command, max(start, found.start() - _LONGEST_COMMAND), found.start())
            if at >= 0 and _ENDS_COMMAND.search(text, at, found.start()) is None:
                yield b"password", found


def _in_declarations(
    hiding: Hiding, text: bytes, lines: Iterable[tuple[int, int]]
) -> Iterator[tuple[bytes, re.Match[bytes]]]:
    """Names and values of constants and variables; a value that is not a password must look like a secret."""
    for start, stop in lines:
        for found in _DECLARED_VALUE.finditer(text, start, stop):
            name = _declared_name(hiding, text[max(start, found.start() - _LONGEST_DECLARATION) : found.start()])
            if name is None:
                continue
            if hiding.kind("settings", name) is NameKind.PASSWORD or _looks_secret(found["quoted"]):
                yield name, found


def _declared_name(hiding: Hiding, front: bytes) -> bytes | None:
    for pattern in _DECLARED_NAMES:
        name = pattern.search(front)
        if name is not None and hiding.kind("settings", name[1]) in STRONG:
            return name[1]
    return None


def _in_lists(hiding: Hiding, text: bytes, lines: Iterable[tuple[int, int]]) -> Iterator[tuple[bytes, re.Match[bytes]]]:
    """Members of YAML lists under a name; a value that is not a password must look like a secret."""
    for span in lines:
        head = _LIST_HEAD.match(text, *span)
        item = head and _LIST_ITEM.match(text, head.end())
        name = head["name"].removesuffix(b"s") if head else b""
        kind = hiding.kind("settings", name)
        while item:
            value = item["plain"] or item["quoted"]
            if kind is NameKind.PASSWORD or (kind is not NameKind.ORDINARY and _looks_secret(value)):
                yield name, item
            item = _LIST_ITEM.match(text, item.end())


def _looks_secret(value: bytes) -> bool:
    is_number = value.isdigit() and len(value) >= 8
    return is_number or MIXED.fullmatch(value) is not None or looks_random(value.decode("latin-1"))


def _names_at_signs(text: bytes) -> tuple[set[bytes], set[bytes]]:
    """All names directly before a colon, and those directly before an equals sign or after two dashes.

    Members of JSON are not included, as quotes come between. Finding all names is faster than finding all lines.
    """
    backwards = with_narrow_signs(text)[::-1]
    before_colons, before_equals = set(_BEFORE_COLON.findall(backwards)), set(_BEFORE_EQUALS.findall(backwards))
    options = _OPTION_NAME.findall(text) if text.find(b"--") >= 0 else ()
    return {name[::-1] for name in before_colons}, {*[name[::-1] for name in before_equals], *options}


def _lines_with(names: Iterable[bytes], text: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Where the lines start and stop that contain one of some names."""
    any_name = to_pattern(b"|".join(map(re.escape, names))) if names else _NOTHING
    while (found := any_name.search(text, start, stop)) is not None:
        line_start = text.rfind(b"\n", start, found.start()) + 1
        line_end = text.find(b"\n", found.end(), stop) + 1
        yield max(start, line_start), line_end or stop
        start = line_end or stop


def find_in_lines(text: bytes, hiding: Hiding, start: int, stop: int) -> Iterator[Edit]:
    """Find names and values, on lines of their own and within lines, in a part of a text."""
    before_colons, before_equals = _names_at_signs(text[start:stop])
    lines = [*_lines_with(hiding.telling(before_colons | before_equals), text, start, stop)]
    assigned = hiding.telling(before_equals)
    lines_with_equals = [*_lines_with(assigned, text, start, stop)]
    places = (
        (_LINE, lines),
        (_LINE_OF_STRING, lines),
        (_SUBSCRIPT, lines_with_equals),
        (_ASSIGNED, [(start, stop)] if assigned else []),  # the value may end on the next line
        (_LISTED, lines),
        (_WITHIN, lines_with_equals),
    )
    usual = (
        (found["name"] or found["option"], found)
        for pattern, spans in places
        for span in spans
        for found in pattern.finditer(text, *span)
    )
    is_of_program: bool | None = None
    unusual = _in_forms((*_SELDOM, *_OTHERS), text, start, stop)
    declared = _in_declarations(hiding, text, lines)
    listed = _in_lists(hiding, text, lines)
    for name, found in chain(usual, unusual, declared, listed, _in_commands(text, start, stop)):
        kind = hiding.kind("settings", name)
        if kind is NameKind.ORDINARY:
            continue
        if is_of_program is None:
            is_of_program = is_program(text, start, stop)
        if (edit := _setting(hiding, kind, name, found, is_of_program)) is not None:
            yield edit
    if assigned and text.find(b";", start, stop) >= 0 and _CONNECTION.search(text, start, stop):
        for part in _CONNECTION_PART.finditer(text, start, stop):
            kind = hiding.kind("settings", part["name"])
            if kind in STRONG and (hidden := hiding.hidden(kind, part["plain"])) is not None:
                yield Edit(*part.span("plain"), hidden)


def is_program(text: bytes, start: int = 0, stop: int = sys.maxsize) -> bool:
    """Tell whether a part of a text has lines that only programs have."""
    return _IS_MARKUP.match(text) is None and _OF_A_PROGRAM.search(text, start, stop) is not None


def is_code(value: bytes) -> bool:
    """Tell whether a value is probably an expression of a program."""
    return _CODE.match(value) is not None or _JOINED.match(value) is not None


def find_in_head(head: bytes, hiding: Hiding) -> Iterator[Edit]:
    """Find a name and its value in a reason phrase or a field, except fields that have rules of their own."""
    for line in _OTHER_FIELDS.finditer(head) if b"=" in head else ():
        for found in _WITHIN.finditer(head, *line.span()):
            name = found["name"] or found["option"]
            kind = hiding.kind("settings", name)
            if kind in STRONG and (edit := _setting(hiding, kind, name, found)) is not None:
                yield edit


def _setting(
    hiding: Hiding, kind: NameKind, name: bytes, found: re.Match[bytes], is_of_program: bool = False
) -> Edit | None:
    """Hide the value of a setting, if it is one."""
    is_field = kind in OF_FIELDS
    groups = found.groupdict()
    is_quoted = groups.get("quote") is not None
    if is_quoted and found.re is _WITHIN and found["name"] and found.string.endswith(found["quote"], 0, found.start()):
        return None  # the quote ends a string: "token=", "x"
    start, stop = found.span("quoted" if is_quoted else "plain")
    if found.re is _LINE and not is_quoted and (comment := _COMMENT.search(found.string, start, stop)) is not None:
        stop = comment.start()
    raw = found.string[start:stop].rstrip(b" \t" if found.re is not _WITHIN or is_quoted else b".,:)]}")
    if b"&" in raw and found.string[start - 1 : start] == b"=" and (pair := _NEXT_PAIR.search(raw)) is not None:
        raw = raw[: pair.start()]
    value = raw
    if b"%" in raw and found.string[start - 1 : start] == b"=":
        value = unquote_to_bytes(raw)
    elif b"\\" in raw and found.re is not _LINE:
        value = unescaped(raw) if b"\\u" in raw else _BACKSLASHES.sub(b"", raw)
    if is_field and found.re is _WITHIN and MIXED.fullmatch(value.rpartition(b" ")[2]) is None:
        return None
    if is_field and (_is_no_field(value) or (b" " in value and is_prose(value, kind))):
        return None
    if is_of_program and not is_quoted and _EXPRESSION.fullmatch(value) and not _is_in_comment(found):
        return None
    if not (is_field or _is_meant(hiding, kind, name, value + groups.get("behind", b""), is_quoted, found)):
        return None
    hidden = hiding.hidden(kind, value)
    if hidden is None:
        return None
    return Edit(start, start + len(raw), quote_plus(hidden).encode() if value != raw and b"%" in raw else hidden)


_CONSTANT = to_pattern(rb"[A-Z]+(?:_[A-Z]+)+")  # as of a variable of the environment
_IDENTIFIER = to_pattern(rb"[A-Za-z]+(?:[_-][A-Za-z]+)*")
_URN = to_pattern(rb"[a-z]+(?::[a-z]+)+")  # as in "token:software:totp"
_EXAMPLE = to_pattern(rb"[\w-]+ (?:[$<{%\[]|\.\.\.)")
_BACKSLASHES = to_pattern(rb"\\+(?=[\"'/])")


def _is_no_field(value: bytes) -> bool:
    """Tell whether the text after the name of a field is an example, or a program."""
    return any(pattern.match(value) for pattern in (_EXAMPLE, _JOINED, _CALL, _BEHIND_TEXT))


def _is_in_comment(found: re.Match[bytes]) -> bool:
    line = found.string.rfind(b"\n", 0, found.start(found.lastindex or 0)) + 1
    return _IN_COMMENT.match(found.string, line) is not None


def _is_of_sentence(value: bytes, option: re.Match[bytes]) -> bool:
    """Tell whether the text after an option continues a sentence: "adds --password to the parser"."""
    if not SIMPLE_WORD.fullmatch(value):
        return False
    return value in _JOINING_WORDS or _MORE_WORDS.match(option.string, option.end("plain")) is not None


def _names_one(hiding: Hiding, value: bytes) -> bool:
    """Tell whether a value is itself the name of a secret: SECRET_KEY = "AWS_SECRET_ACCESS_KEY"."""
    return _IDENTIFIER.fullmatch(value) is not None and hiding.kind("settings", value) is not NameKind.ORDINARY


def _is_said(hiding: Hiding, name: bytes, value: bytes, may_be_words: bool) -> bool:
    """Tell whether a text is not a value but a remark: "My password: a sad story", "Fix token: handle expiry"."""
    last = name.rpartition(b" ")[2]
    if hiding.kind("settings", last) is NameKind.ORDINARY or _TITLE.match(value) is not None:
        return True
    return not may_be_words and last.islower() and _DIGIT.search(value) is None


def _is_said_in_call(hiding: Hiding, name: bytes, value: bytes, found: re.Match[bytes]) -> bool:
    """Tell whether two texts in brackets are probably names or remarks."""
    call = _CALLED.search(found.string[max(0, found.start() - _LONGEST_CALL) : found.start()])
    if _ASKING_CALL.match(call[0] if call else b"") or hiding.kind("settings", value) is not NameKind.ORDINARY:
        return True
    is_said = b" " in value or (b"_" in value and value.islower()) or (call is None and _AMBIGUOUS.match(name))
    return bool(is_said) and _DIGIT.search(value) is None


def _is_meant(
    hiding: Hiding, kind: NameKind, name: bytes, value: bytes, is_quoted: bool, found: re.Match[bytes]
) -> bool:
    """Tell whether a value is meant as one: programs have such lines as well, and texts have remarks about secrets."""
    if looks_random(value.decode("latin-1")):
        return True
    if "flow" in found.re.groupindex:
        return kind in STRONG and is_uuid(value.decode("latin-1"))  # in programs such values are variables
    if (
        kind not in STRONG
        or _DATE.match(value)
        or _BEHIND_TEXT.match(value)
        or is_own_name(name, value)
        or (b" " in name and b" " in value and _is_said(hiding, name, value, kind is NameKind.PASSWORD or is_quoted))
        or _URN.fullmatch(value)
        or ((_AMBIGUOUS.match(name) or _CONSTANT.fullmatch(value)) and _names_one(hiding, value))
    ):
        return False
    if "mark" in found.re.groupindex and _is_said_in_call(hiding, name, value, found):
        return False
    if (attribute := _ATTRIBUTE.fullmatch(value)) is not None and hiding.kind("settings", attribute[1]) in STRONG:
        return False  # an attribute of an object
    if _AMBIGUOUS.match(name) and (value.count(b" ") > 1 or value.startswith(b"0x")):
        return False
    if MIXED.fullmatch(value):
        return True
    if is_quoted and not is_prose(value, kind) and not (_AMBIGUOUS.match(name) and is_code(value)):
        return True
    if found.re is _WITHIN and found["option"] and not is_quoted and _is_of_sentence(value, found):
        return False
    if name.isupper() and found.string[found.end(1) : found.end(1) + 1] == b"=":
        return True  # SECRET_KEY=...
    if value.isdigit():
        return len(value) >= 4 and not name.lower().endswith((b"id", b"session"))
    if _AMBIGUOUS.match(name) or is_code(value) or is_prose(value, kind):
        return False
    return hiding.kind("settings", value) is NameKind.ORDINARY
