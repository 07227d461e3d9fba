"""Text in other character sets than UTF-8, where rules would not see names, and secrets have other octets (pure).

A text is converted to UTF-8 for the search, and back to its own set afterwards. Any set that Python knows is used if a
message declares it, in its fields or in its first octets; UTF-16 and UTF-32 also without that.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

# So many octets are enough to tell the character set, and whether it is text at all.
_SAMPLE = 1 << 10
(_LESS_THAN,) = b"<"  # as a number, which is found much faster
_UTF_8 = rb"(?i:utf-?8|us-ascii)\b"
_LABEL = re.compile(
    rb"(?:charset|encoding)\s*=\s*[\"']?(?!%b)([A-Za-z0-9][A-Za-z0-9_.:+-]{1,40})" % _UTF_8, re.IGNORECASE
)
_LABELS = [
    (word, re.compile(rb"%b\s*+=\s*+[\"']?+(?!%b)\w" % (word, _UTF_8))) for word in (b"arset", b"ARSET", b"ncoding")
]
_BEGINNINGS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# These are not character sets of texts, and some take time that grows with the square of the length.
_NONE_OF_TEXTS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"})


# Texts in a set that extends ASCII contain hardly any of these; U+001E separates JSON texts (RFC 7464, SignalR).
_CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t\n\r\f\b\x1b\x1e"))


def is_binary(text: bytes) -> bool:
    """Tell by its beginning whether something is not text: an image, an archive."""
    sample = text[:_SAMPLE]
    return len(sample.translate(None, _CONTROLS)) * 25 < len(sample) * 24


@dataclass(frozen=True, slots=True)
class Charset:
    """A character set, and the octets of a last character that was cut off."""

    name: str
    rest: bytes

    def encode(self, text: bytes) -> bytes:
        """Convert a text from UTF-8 to this set."""
        octets = text.decode("utf-8", _errors(self.name)).encode(self.name, _errors(self.name))
        return octets + self.rest


def may_be_recoded(message: bytes) -> bool:
    """Tell whether the content of a message may be in another set; cheap, with false alarms but no misses."""
    if 0 in message:
        return True
    is_xml = _LESS_THAN in message and message.find(b"<?") >= 0
    # Finding a word is faster than searching for a pattern, and few messages have one.
    for word, label in _LABELS if is_xml else _LABELS[:2]:
        if (at := message.find(word)) >= 0 and label.search(message, at) is not None:
            return True
    return False


def recoded(octets: bytes, media_type: str) -> tuple[bytes, Charset] | None:
    """Convert a text to UTF-8; None if it is UTF-8 already, or could not be converted back octet by octet."""
    for name in _candidates(octets, media_type):
        try:
            if codecs.lookup(name).name.replace("-", "_") in _NONE_OF_TEXTS:
                continue
            decoder = codecs.getincrementaldecoder(name)(_errors(name))
            text = decoder.decode(octets)
            rest = decoder.getstate()[0]
            charset = Charset(name, rest)
            plain = text.encode("utf-8", _errors(name))
            if charset.encode(plain) == octets:
                return None if plain + rest == octets else (plain, charset)
        except (LookupError, ValueError, TypeError, AssertionError):
            continue  # there is no such set, it is not one of texts, or it does not fit this text
    return None


def _errors(name: str) -> str:
    """The error handler that keeps octets that are no characters: halves of surrogate pairs, or single octets."""
    return "surrogatepass" if name.startswith(("utf-16", "utf-32")) else "surrogateescape"


def _candidates(octets: bytes, media_type: str) -> Iterator[str]:
    for beginning, name in _BEGINNINGS:
        if octets.startswith(beginning):
            yield name
    sample = octets[:_SAMPLE]
    if b"\0" in sample:
        yield from _wide(sample)
    declared = _LABEL.search(media_type.encode("latin-1", "replace")) or (
        _LABEL.search(sample) if not sample.isascii() else None
    )
    if declared is not None:
        yield declared[1].decode()


def _wide(sample: bytes) -> Iterator[str]:
    """Detect wide sets by their zeros: most characters of such texts are ASCII, with one octet that is not zero."""
    for width, name in ((4, "utf-32"), (2, "utf-16")):
        zeros = [sample[at::width].count(0) for at in range(width)]
        most = len(sample) // width
        if zeros[0] * 4 < most and zeros[-1] * 4 > most * 3:
            yield name + "-le"
        if zeros[-1] * 4 < most and zeros[0] * 4 > most * 3:
            yield name + "-be"
