"""The grammar of HTTP/1.1 as regular expressions, each with its ABNF, and the limits for messages.

Rule 1: white space is OWS, which is SP and HTAB; never what `str.strip()` or `\\s` regard as white space.
Rule 2: a number is matched before it is converted; `int()` alone accepts "+5", "5_0" and foreign digits.
Rule 3: hostile input takes linear time; a repetition that overlaps with its neighbour is possessive (`*+`).
"""

from __future__ import annotations

import re

from cassette_http.wire.patterns import to_pattern

# Limits. The first two are those of http.client, which programs rely on.
MAX_LINE_OCTETS = 65536  # start line, field line, chunk size line; with the line end
MAX_INTERIM_RESPONSES = 100
MAX_TRAILERS = 100
MAX_CHUNK_EXTENSION_OCTETS = 65536  # all of one message together
MAX_CHUNK_SIZE_DIGITS = 16
MAX_READ_OCTETS = 1 << 20  # no more is asked for at once, whatever a length announces
# A reader only watches, and must accept what any client accepts: programs raise http.client's limit of 100 fields to
# 1,000, h11 and aiohttp have none, curl stops at 5,000. The limit for the octets of a head is above that of http.client
# (101 full lines).
MAX_WATCHED_FIELDS = 5000
MAX_HEAD_OCTETS = 8 << 20
# Programs send longer lines than they accept: an image in a query, for example, which the server may refuse.
MAX_REQUEST_LINE_OCTETS = 1 << 20

# OWS = *( SP / HTAB )                                                                 RFC 9110 section 5.6.3
OWS = " \t"

# tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~"
#         / DIGIT / ALPHA                                                              RFC 9110 section 5.6.2
_TCHAR = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"

# HTTP-version = HTTP-name "/" DIGIT "." DIGIT                                         RFC 9112 section 2.3
_HTTP_VERSION = r"HTTP/[0-9]\.[0-9]"

# request-line = method SP request-target SP HTTP-version                              RFC 9112 section 3
# White space within the target is wrong, but clients that send it exist, and a recorder must not lose their
# requests.
REQUEST_LINE = to_pattern(rf"({_TCHAR}++)[ \t]++([^ \t](?:.*[^ \t])?)[ \t]++({_HTTP_VERSION})[ \t]*", re.DOTALL)

# status-line = HTTP-version SP status-code SP [ reason-phrase ]                       RFC 9112 section 4
# More than one SP, and none before a missing reason, are tolerated as section 4 allows.
STATUS_LINE = to_pattern(rf"({_HTTP_VERSION})[ \t]++([1-9][0-9][0-9])(?:[ \t]++(.*+))?", re.DOTALL)

# The first octets of a message, as far as they have arrived: other protocols are recognised early.
REQUEST_BEGINNING = to_pattern(rb"%b*+(?:[ \t]|\Z)" % _TCHAR.encode())
# A first line that is not HTTP/1.x, but meant to be HTTP; also a request of HTTP/0.9.
MEANT_FOR_REQUEST = to_pattern(rb"[^\n]*[ \t](?i:HTTP)/[0-9.]*[ \t]*\r?\n|GET /[^\n]*\n")
RESPONSE_BEGINNING = to_pattern(rb"H(?:\Z|T(?:\Z|T(?:\Z|P(?:\Z|/))))")

# field-line = field-name ":" OWS field-value OWS                                      RFC 9112 section 5
# A whole ordinary line; trailing OWS remains in the value. Names may have any visible US-ASCII character, as brackets
# and slashes do occur. If it is used on a section, the number of matches must be compared with the number of lines.
FIELD_LINE = to_pattern(r"^([!-9;-~]++):[ \t]*+([^\r\n\0]*+)\r\n", re.MULTILINE)
FIELD_NAME = to_pattern(r"[!-9;-~]++")
# A section of ordinary lines only, with its empty line; and the lines in it that decide where a message ends.
ORDINARY_SECTION = to_pattern(r"(?:[!-9;-~]++:[^\r\n\0]*+\r\n)*+\r\n")
FRAMING_LINE = to_pattern(r"^(content-length|transfer-encoding):[ \t]*+([^\r]*+)", re.MULTILINE | re.IGNORECASE)
# A final head with one framing field, which is a number: all clients agree where such a response ends.
_OTHER_LINES = rb"(?:(?!(?i:content-length|transfer-encoding):)[!-9;-~]++:[^\r\n\0]*+\r\n)*+"
ORDINARY_RESPONSE_HEAD = to_pattern(
    rb"HTTP/1\.[01] (?!204|304)[2-5][0-9][0-9](?: [^\r\n\0]*+)?+\r\n"
    rb"%b(?i:content-length):[ \t]*+([0-9]{1,15})\r\n%b\r\n" % (_OTHER_LINES, _OTHER_LINES)
)

# The empty line that ends a field section, from the end of the line before; LF alone will do (section 2.2).
EMPTY_LINE = to_pattern(rb"\n\r?\n")

# Content-Length = 1*DIGIT                                                             RFC 9110 section 8.6
# No size needs more digits, and converting many takes quadratic time. Python always converts so many, however low its
# limit is set (sys.int_info.str_digits_check_threshold).
CONTENT_LENGTH = to_pattern(r"[0-9]{1,640}")

# chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF ; chunk-size = 1*HEXDIG        RFC 9112 section 7.1
# chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )            RFC 9112 section 7.1.1
# White space around the size is tolerated (servers pad it to a fixed width). Extensions are not parsed.
CHUNK_SIZE_LINE = to_pattern(rb"[ \t]*+([0-9A-Fa-f]++)[ \t]*+(;[^\r\n]*+)?\r?\n")
# From the end of one chunk's data to the beginning of the next one's, if there is nothing unusual about it.
CHUNK_BORDER = to_pattern(rb"\r\n([0-9A-Fa-f]{1,16})\r\n")
