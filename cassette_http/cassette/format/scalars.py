"""How text, octets and small values are written in YAML so that every parser returns them unchanged.

Four styles, most readable first:

    plain     POST https://api.test/        one line that no YAML rule can read as something else
    literal   |- and indented lines         text of any length without odd characters
    quoted    "a\\tb"                       all text; the escapes are those that JSON has too
    binary    !!binary | and base64         octets
"""

from __future__ import annotations

import binascii
import re
from functools import cache
from json.encoder import encode_basestring
from typing import Any

# The ASCII part of what a literal block may contain (see `_unsafe`).
SAFE_ASCII = bytes((9, 10, *range(0x20, 0x7F)))

# We use a small part of YAML's plain scalars: ASCII words with single spaces between. The first letter excludes numbers
# and time stamps; three digits and then a word (a status) are neither. No ": ", no " #", and no colon at the end.
PLAIN = re.compile(r"(?:[0-9]{3} )?[A-Za-z][!-~]*(?: (?!#)[!-~]+)*")
PLAIN_IN_FLOW = re.compile(r"[A-Za-z][\w./+*()'=-]*(?: [\w./+*()'=-]+)*", re.ASCII)
WORDS_WITH_MEANING = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}

INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
FLOAT = re.compile(r"[-+]?(?:[0-9]{1,18}\.?[0-9]{0,18}|\.[0-9]{1,18})(?:[eE][-+]?[0-9]{1,3})?")
CONSTANTS: dict[str, object] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan"),
}  # fmt: skip

LINE_WIDTH = 100
BASE64_OCTETS_PER_LINE = 72


@cache
def _unsafe() -> re.Pattern[str]:
    """What a literal block cannot contain; compiled late, as sets of so many characters take long.

    YAML forbids C0 and C1 controls, DEL, surrogates and U+FFFE/U+FFFF (YAML 1.1 section 4.1); CR, NEL, LS and PS are
    line breaks that parsers normalise to LF (section 4.2); a BOM may vanish.
    """
    return re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def is_safe(text: str) -> bool:
    """Tell whether a literal block can contain all characters of `text`."""
    if text.isascii():
        return not text.encode("ascii").translate(None, SAFE_ASCII)
    return _unsafe().search(text) is None


def is_safe_utf8(octets: bytes) -> bool:
    """Tell whether octets are UTF-8, and their text `is_safe`. Most texts have few octets that need a closer look."""
    odd = octets.translate(None, SAFE_ASCII)
    if not odd:
        return True
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return _unsafe().search(odd.decode()) is None


def plain(text: str) -> str:
    """Write one line of text, without quotes if it cannot be misread."""
    if PLAIN.fullmatch(text) and ": " not in text and text[-1] != ":" and text.lower() not in WORDS_WITH_MEANING:
        return text
    return quoted(text)


def quoted(text: str) -> str:
    """Write text between double quotes, on one line."""
    written = encode_basestring(text)
    return written if is_safe(written) else _unsafe().sub(_escape, written)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    # A lone surrogate (of an undecodable file name in an error, for example) cannot be written in YAML at all.
    return ("\\\\u%04x" if "\ud800" <= character <= "\udfff" else "\\u%04x") % ord(character)


def literal(text: str) -> str | None:
    """Write text as a literal block indented by two, from the `|` to the last line end; None if that is not exact."""
    return None if not text or text.isspace() or not is_safe(text) else literal_of_safe(text)


def literal_of_safe(text: str) -> str:
    """Write text that is safe and not only white space as a literal block."""
    indicator = "2" if text[0] in " \t\n" else ""
    ends = len(text) - len(text.rstrip("\n"))
    block = "  " + text.replace("\n", "\n  ")
    block = block[:-2] if ends else block + "\n"
    if ends > 1 or "\n\n" in text or text[0] == "\n":
        # Empty lines are written empty; twice, because the matches overlap.
        block = ("\n" + block).replace("\n  \n", "\n\n").replace("\n  \n", "\n\n")[1:]
    return f"|{indicator}{'-' if not ends else '+' if ends > 1 else ''}\n{block}"


def text_block(text: str) -> str:
    """Write text of any length as the value of a key: as a literal block if that is exact, else as quoted lines."""
    block = literal(text)
    if block is not None:
        return block
    written = quoted(text)
    if len(written) <= LINE_WIDTH or "\\n" not in written:
        return written + "\n"
    # An escaped line end is not part of the text; a space at the beginning of a line must be escaped.
    lines = [quoted(line)[1:-1] for line in re.findall(r"[^\n]*\n|[^\n]+", text)]
    opened = ["\\" + line if line[0] == " " else line for line in lines]
    return '"\\\n  ' + "\\\n  ".join(opened) + '"\n'


def binary(octets: bytes, comment: str = "") -> str:
    """Write octets as lines of base64; `comment` follows the tag."""
    step = BASE64_OCTETS_PER_LINE
    lines = ["  " + binascii.b2a_base64(octets[at : at + step]).decode("ascii") for at in range(0, len(octets), step)]
    opening = f"!!binary |  # {comment}\n" if comment else "!!binary |\n"
    return opening + "".join(lines) if octets else '!!binary ""\n'


def octets_of(base64: str) -> bytes:
    """Read what `binary` writes. Raises ValueError if it is not base64, or incomplete."""
    text = base64.replace("\n", "").replace(" ", "").replace("\r", "").replace("\t", "")
    return binascii.a2b_base64(text, strict_mode=True)


def flow(value: Any) -> str:
    """Write a value (None, bool, int, float, str, bytes, sequences, mappings) on one line.

    Anything else is written as its `repr`. Tuples and lists look the same.
    """
    if isinstance(value, str):
        if PLAIN_IN_FLOW.fullmatch(value) and value.lower() not in WORDS_WITH_MEANING:
            return value
        return quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _flow_float(value)
    if isinstance(value, bytes):
        return '!!binary "' + binascii.b2a_base64(value, newline=False).decode("ascii") + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join([f"{flow(str(key))}: {flow(item)}" for key, item in value.items()]) + "}"
    return quoted(repr(value))


def _flow_float(value: float) -> str:
    written = repr(value)
    if written in ("inf", "-inf", "nan"):
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}[written]
    # YAML 1.1 reads "1e-07" as a string: its floats have a point.
    return written if "." in written else written.replace("e", ".0e")


def resolve(text: str) -> Any:
    """Return the meaning of an unquoted scalar: a constant, a number, or text."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    if FLOAT.fullmatch(text):
        return float(text)
    return text
