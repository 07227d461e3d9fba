"""Secrets that are recognised by their form: tokens of well-known services, JWTs, private keys (pure).

Almost all of them contain a *run* of 20 letters, digits, "_", "-" and "+". A text without a run is left at once. Runs
are found fast in a copy of the text in which all these characters are replaced by the same one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from cassette_http.wire.patterns import any_of, to_pattern

# Fewer characters in a row are unlikely to be a token.
SHORTEST_RUN = 20
# What follows this path may be shorter than a run.
SHORT_PATH = b"/hooks/catch/"

# No letter or digit may come before a token. The names are those for `keep`.
SHAPES: dict[str, str] = {
    "jwt": r"eyJ[\w-]{10,}(?!\.\.\.)(?:\.[\w-]*){2,4}",
    "github": r"(?:gh[pousr]_\w{30,}|github_pat_\w{22,})",
    "gitlab": r"(?:gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat|oas|ffct)-[\w.-]{20,}|GR1348941[\w-]{20})",
    "slack": r"xox[abceoprs]-(?:\d-)?[\w-]{10,}|xapp-\d-[\w-]{10,}",
    "stripe": r"(?:[sr]k_(?:live|test|prod)_\w{16,}|whsec_[\w+/=]{24,})",
    "anthropic": r"sk-ant-[\w-]{20,}",
    "openai": r"sk-(?!ssh-|ecdsa-)(?=[\w-]*\d)[\w-]{20,}",
    "google-api-key": r"AIza[\w-]{35}",
    "google-oauth": r"(?:ya29\.[\w.-]{20,}|1//0[\w-]{30,}|4/0A[\w-]{30,})",
    "google-client-secret": r"GOCSPX-[\w-]{20,}",
    "aws": r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![\w])",
    "azure": r"[\w~.-]{3}\dQ~[\w~.-]{31,34}(?![\w])",
    "npm": r"npm_[A-Za-z0-9]{36}",
    "pypi": r"pypi-AgE[\w-]{50,}",
    "sendgrid": r"SG\.[\w-]{16,32}\.[\w-]{16,64}",
    "twilio": r"(?:SK|AC)[0-9a-f]{32}(?![\w])",
    "hugging-face": r"(?:hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,})",
    "databricks": r"dapi[0-9a-f]{32}(?:-\d)?",
    "digitalocean": r"do[opr]_v1_[0-9a-f]{64}",
    "doppler": r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]+\.)?\w{40,}",
    "shopify": r"shp(?:at|ca|pa|ss|tka)_[0-9a-fA-F]{32}",
    "square": r"(?:sq0[a-z]{3}-[\w-]{22,}|EAAA(?![\w-]{0,100}AAA)[\w-]{56,})",
    "telegram": r"\d{6,12}:AA[\w-]{32,}",
    "discord": r"(?:[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,}|mfa\.[\w-]{80,})",
    "mailgun": r"(?:key-[0-9a-f]{32}|[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}(?![\w-]))",
    "mailchimp": r"[0-9a-f]{32}-us\d{1,2}(?!\w)",
    "linear": r"lin_(?:api|oauth)_\w{32,}",
    "notion": r"(?:ntn_\w{40,}|secret_[A-Za-z0-9]{43})",
    "postman": r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",
    "pulumi": r"pul-[0-9a-f]{40}",
    "sentry": r"sntry[su]_[\w+/=-]{40,}",
    "grafana": r"(?:glsa_\w{32}_[0-9a-fA-F]{8}|glc_[\w+/=]{32,})",
    "vault": r"hv[sbr]\.[\w-]{20,}",
    "terraform": r"\w{14}\.atlasv1\.[\w-]{60,}",
    "1password": r"(?:ops_eyJ[\w+/=-]{50,}|A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3})",
    "planetscale": r"pscale_(?:tkn|pw|oauth)_[\w.=-]{32,}",
    "rubygems": r"rubygems_[0-9a-f]{48}",
    "facebook": r"(?<![A-Za-z0-9+/]{20}/)(?<!\+)EAA(?=[A-Z])A{0,3}+(?!\w{0,100}AAA)[A-Za-z0-9]{58,}",
    "dropbox": r"sl\.(?:u\.)?[\w-]{100,}",
    "atlassian": r"(?:ATATT3|ATCTT3)[\w=-]{100,}|ATBB[A-Za-z0-9]{32}(?!\w)",
    "newrelic": r"NR(?:AK|II|JS|RA)-[\w-]{20,}",
    "figma": r"figd_[\w-]{40}",
    "airtable": r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}",
    "supabase": r"(?:sb[ps]_[0-9a-f]{40}|sb_secret_[\w-]{20,})",
    "groq": r"gsk_\w{40,}",
    "docker": r"dckr_(?:pat|oat)_[\w-]{20,}",
    "buildkite": r"bk[a-z]{2}_[0-9a-f]{40}",
    "circleci": r"CCIPAT_\w{22}_[0-9a-f]{40}",
    "netlify": r"nfp_[A-Za-z0-9]{36}",
    "heroku": r"HRKU-[\w-]{36,}",
    "sonar": r"sq[pua]_[0-9a-f]{40}",
    "perplexity": r"pplx-[A-Za-z0-9]{40,}",
    "xai": r"xai-[A-Za-z0-9]{70,}",
    "replicate": r"r8_[A-Za-z0-9]{37}",
    "nvidia": r"nvapi-[\w-]{60,}",
    "langsmith": r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}",
    "pinecone": r"pcsk_\w{60,}",
    "brevo": r"xkeysib-[0-9a-f]{64}-\w{16}",
    "tailscale": r"tskey-[a-z]+-\w{10,}-\w{20,}",
    "dynatrace": r"dt0[cs]\d{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}",
    "openshift": r"sha256~[\w-]{43}",
    "posthog": r"phx_[A-Za-z0-9]{40,}",
    "hubspot": r"pat-(?:na|eu)\d-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "sourcegraph": r"sgp_(?:[0-9a-f]{16}_)?[0-9a-f]{40}",
    "contentful": r"CFPAT-[\w-]{43}",
    "mapbox": r"sk\.eyJ[\w-]{60,}\.[\w-]{20,}",
    "age": r"AGE-SECRET-KEY-1[A-Z0-9]{58}",
    "adafruit": r"aio_[A-Za-z0-9]{28}(?!\w)",
    "adobe": r"p8e-[A-Za-z0-9]{32}(?![\w-])",
    "alibaba": r"LTAI[A-Za-z0-9]{20}(?!\w)",
    "anyscale": r"esecret_[a-z0-9]{26,}",
    "apify": r"apify_api_[A-Za-z0-9]{36}(?!\w)",
    "artifactory": r"(?:AKCp[A-Za-z0-9]{69}|cmVmd[A-Za-z0-9]{59})(?!\w)",
    "aws-session": r"(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz)[\w+/=%]{100,}",
    "aws-mws": r"amzn\.mws\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "azure-key": r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}(?!\w)|[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26}(?!\w)",
    "aws-bedrock": r"ABSK[\w+/]{100,}={0,2}",
    "axiom": r"xa[ap]t-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "brave": r"BSA(?=[\w-]*\d)(?=[\w-]*[a-z])[\w-]{27,28}(?![\w-])",
    "browserbase": r"bb_live_[\w-]{20,}",
    "canva": r"cnvca[\w-]{40,}",
    "cerebras": r"csk-[a-z0-9]{40,}",
    "checkly": r"cu_[0-9a-f]{32}(?!\w)",
    "clickhouse": r"4b1d[A-Za-z0-9]{38}(?!\w)",
    "clickup": r"pk_\d{5,}_[A-Z0-9]{32}(?!\w)",
    "clojars": r"CLOJARS_[0-9a-z]{60}",
    "cloudflare": r"(?:v1\.0-[0-9a-f]{24}-[0-9a-f]{146}|cf(?:ut|at|k)_[A-Za-z0-9]{40,})",
    "cockroachdb": r"CCDB1_[A-Za-z0-9]{22}_[A-Za-z0-9]{40}",
    "confluent": r"cflt[A-Za-z0-9+/]{60}(?!\w)",
    "crates-io": r"cio[A-Za-z0-9]{32}(?!\w)",
    "dbt": r"dbt[cu]_[\w-]{40,}",
    "defined-networking": r"dnkey-[\w-]{26}-[\w-]{52}",
    "deno": r"dd[opw]_[A-Za-z0-9]{36}(?!\w)",
    "duffel": r"duffel_(?:test|live)_[\w-]{43}",
    "e2b": r"e2b_[0-9a-f]{40}(?!\w)",
    "easypost": r"EZ[AT]K[A-Za-z0-9]{54}(?!\w)",
    "elevenlabs": r"sk_[0-9a-f]{48}(?!\w)",
    "firebase": r"APA91b[\w-]{100,}",
    "firecrawl": r"fc-[0-9a-f]{32}(?!\w)",
    "flutterwave": r"FLWSECK(?:_TEST)?-[0-9a-zA-Z]{12,32}-X",
    "fireworks": r"fw_(?=[A-Za-z]*\d)(?=[a-z0-9]*[A-Z])[A-Za-z0-9]{24}(?!\w)",
    "fly": r"(?:fo1_[\w-]{43}|fm(?:1[ar]|2)_[\w+/]{100,}={0,2})",
    "frame-io": r"fio-u-[\w-]{64}",
    "gocardless": r"live_(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{40}(?![\w-])",
    "harness": r"[ps]at\.[\w-]{22}\.[0-9a-f]{24}\.[A-Za-z0-9]{20}(?!\w)",
    "honeybadger": r"hbp_[A-Za-z0-9]{36}(?!\w)",
    "honeycomb": r"hc[a-z]{2,3}_[a-z0-9]{58}(?!\w)",
    "infisical": r"st\.[0-9a-f]{24}\.[0-9a-f]{32}\.[0-9a-f]{32}",
    "infracost": r"ico-[A-Za-z0-9]{32}(?!\w)",
    "intercom": r"dG9rO[A-Za-z0-9+/]{50,}={0,2}",
    "intra42": r"s-s4t2(?:ud|af)-[0-9a-f]{64}",
    "ionic": r"ion_[A-Za-z0-9]{42}(?!\w)",
    "jenkins": r"11(?=[0-9]*[a-f])[0-9a-f]{32}(?!\w)",
    "jina": r"jina_[\w-]{60}",
    "klaviyo": r"pk_[0-9a-f]{34}(?!\w)",
    "launchdarkly": r"(?:api|sdk)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w-])",
    "llamaindex": r"llx-[\w-]{40,}",
    "lob": r"(?:live|test)_[0-9a-f]{35}(?!\w)",
    "mailersend": r"mlsn\.[0-9a-f]{64}",
    "matrix": r"syt_[\w+/=-]{4,}_[A-Za-z]{20}_[A-Za-z0-9]{6}(?!\w)",
    "maxmind": r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk(?!\w)",
    "mongodb": r"mdb_sa_sk_[\w-]{40}",
    "neon": r"napi_[a-z0-9]{60,}(?!\w)",
    "nuget": r"oy2[a-z0-9]{43}(?!\w)",
    "octopus": r"API-[A-Z0-9]{25,32}(?![\w-])",
    "okta": r"00(?=[\w-]*[A-Z])(?=[\w-]*[a-z])[\w-]{40}(?![\w-])",
    "onfido": r"api_(?:live|sandbox)(?:_[a-z]{2})?\.[\w-]{11}\.[\w-]{32}",
    "packagist": r"packagist_[a-z]{2,4}_[0-9a-f]{60,}",
    "paddle": r"pdl_(?:live|sdbx)_apikey_\w{40,}",
    "persona": r"persona_(?:sandbox|production)_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "plaid": r"access-(?:sandbox|development|production)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "prefect": r"pn[bu]_[A-Za-z0-9]{36}(?!\w)",
    "razorpay": r"rzp_(?:live|test)_[A-Za-z0-9]{14,}",
    "readme": r"rdme_[a-z0-9]{60,}",
    "render": r"rnd_[A-Za-z0-9]{28,}(?!\w)",
    "resend": r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}(?!\w)",
    "runpod": r"rpa_[A-Z0-9]{40,}",
    "samsara": r"samsara_api_[A-Za-z0-9]{30}",
    "scalingo": r"tk-us-[\w-]{48}",
    "segment": r"sgp_[A-Za-z0-9]{64}(?!\w)",
    "settlemint": r"sm_[aps]at_[A-Za-z0-9]{16}(?!\w)",
    "shippo": r"shippo_(?:live|test)_[0-9a-f]{40}",
    "stytch": r"secret-(?:live|test)-[\w=-]{36}",
    "tavily": r"tvly-[\w-]{24,}",
    "telnyx": r"KEY[0-9A-F]{32}_[A-Za-z0-9]{22}(?!\w)",
    "tencent": r"AKID[A-Za-z0-9]{32}(?!\w)",
    "together": r"tgp_v1_[\w-]{43}",
    "trello": r"ATTA[0-9a-fA-F]{72}(?!\w)",
    "trigger": r"tr_(?:dev|prod|stg)_[A-Za-z0-9]{20,}(?!\w)",
    "typeform": r"tfp_[\w.=-]{44,}",
    "ubidots": r"BBFF-[A-Za-z0-9]{30}(?!\w)",
    "vault-of-old": r"s\.(?=[A-Za-z]*\d)(?=[a-z0-9]*[A-Z])[A-Za-z0-9]{24}(?![\w.(])",
    "vercel": r"(?:vercel_blob_rw_[A-Za-z0-9]{12,}_[A-Za-z0-9]{20,}|vc[aikpr]_[A-Za-z0-9]{56}(?!\w))",
    "voyage": r"pa-(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{43}(?![\w-])",
    "wakatime": r"waka_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "woocommerce": r"c[ks]_[0-9a-f]{40}(?!\w)",
    "yandex": r"(?:AQVN[\w-]{35,38}|YC(?![A-Z0-9]{38})[\w-]{38})(?![\w-])|t1\.[\w-]{20,}={0,2}\.[\w-]{86}={0,2}",
    "zoho": r"1000\.[0-9a-f]{32}\.[0-9a-f]{32}(?!\w)",
    "zuplo": r"zpka_[0-9a-z]{32}_[0-9a-f]{8}(?!\w)",
}

# The secret is in the groups: the rest of the path distinguishes requests.
PATHS: dict[str, str] = {
    "slack-webhook": r"/(?:services|workflows|triggers)/(T\w{6,}/\w{6,}/(?:\d+/)?\w{16,})",
    "discord-webhook": r"/webhooks/\d{16,}/([\w-]{50,})",
    "telegram-bot": r"/bot(\d{6,}:[\w-]{20,})",
    "teams-webhook": r"/IncomingWebhook/([\w-]{20,}/[\w-]{20,})",
    "mattermost-webhook": r"/hooks/([a-z0-9]{26})(?![\w-])",
    "make-webhook": r"hook\.(?:[a-z0-9]+\.)?(?:make|integromat)\.com/(\w{20,})",
    "zapier-webhook": r"/hooks/catch/\d+/(\w{5,})",
    "ifttt-webhook": r"/with/key/([\w-]{20,})",
}

# With these hosts, any value is treated as a secret, so that a made-up token gets the same answer as the real one.
HOST_PATHS: dict[str, re.Pattern[bytes]] = {
    "api.telegram.org": to_pattern(rb"/bot([^/?\s]*)"),
    "hooks.slack.com": to_pattern(rb"/(?:services|workflows|triggers)/([^?\s]+)"),
    "discord.com": to_pattern(rb"/webhooks/[^/?\s]+/([^/?\s]+)"),
}

# Values of some services whose names say nothing, each with a text that is always there.
_VALUE = rb"\\*\"\s*:\s*\\*\""
# Hashes of crypt(3) and the like, as in a file of htpasswd; some settings double the "$", some JSON escapes the "/".
_HASH = rb"(\$\$?(?:%b))(?![.A-Za-z0-9+/])" % b"|".join(
    [
        rb"2[abxy]?D[0-9]{2}DC{53}|(?:apr1|1)DC{0,16}DC{22}|[PH]DC{31}|g?yDC{1,40}DC{0,86}DC{43}",
        rb"[56]D(?:rounds=[0-9]{1,9}D)?C{0,32}DC{43,86}",
        rb"argon2(?:id?|d)Dv=[0-9]{1,3}D[mtp=0-9,]{11,40}DC{8,90}D(?:C|\+){16,180}",
        rb"[0-9]{4,9}DC{1,64}D(?:C|\+){43}=?|[A-Za-z0-9]{8,22}D[0-9a-f]{64,128}",  # of Django and Werkzeug
    ]
).replace(b"D", rb"\$\$?").replace(b"C", rb"(?:[.A-Za-z0-9]|\\?/)")
IN_PLACE: dict[str, tuple[bytes, re.Pattern[bytes]]] = {
    "azure-storage": (b"keyName", to_pattern(rb"\"value%b([A-Za-z0-9+/]{86}==)" % _VALUE)),
    "google-secret": (
        b"/secrets/",
        to_pattern(rb"\"payload\\*\"\s*:\s*\{[^{}\"]{0,20}\"data%b([A-Za-z0-9+/=_-]{4,90000})\\*\"" % _VALUE),
    ),
    "password-hash": (b"$", to_pattern(_HASH)),
    "ldap-hash": (b"SHA", to_pattern(rb"(\{S?SHA(?:256|384|512)?\}(?:[A-Za-z0-9+]|\\?/){27,120}={0,2})")),
    "wifi": (
        b"WIFI:",
        to_pattern(rb"WIFI:(?:[A-OQ-Z][A-Z0-9]?:(?:[^;\\\r\n]|\\.){0,200};){0,6}P:((?:[^;\\\r\n\"]|\\.){1,200});"),
    ),
    "oracle-url": (b"jdbc:oracle", to_pattern(rb"jdbc:oracle:[a-z0-9]+:[\w$#]+/([^@\s\"'/]{1,200})@")),
    "akamai": (b"hmac", to_pattern(rb"(?:~|%(?:25)?7[Ee])hmac(?:=|%(?:25)?3[Dd])([0-9a-fA-F]{32,128})")),
    "pgpass": (b":543", to_pattern(rb"^[\w.*-]+:543[0-9]:[^:\s/]+:[^:\s/]+:([^\s\"<>]{3,200})\r?$", re.MULTILINE)),
}
# Forms whose markers contain no telling word (`words_of_names`).
_IN_PLACE_WITHOUT_WORDS = [IN_PLACE[name] for name in ("password-hash", "ldap-hash", "wifi", "pgpass")]

_BLANKS = rb"(?:\s|\\[nr])*+"  # a line end may be escaped, as in JSON
_KEY_BLOCK = to_pattern(
    rb"----[ -]BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?[ -]----%b(.*?)%b(?:----[ -]END|\Z)" % (_BLANKS, _BLANKS),
    re.DOTALL,
)
_KEY_MATERIAL = to_pattern(rb"[A-Za-z0-9+/=]{16}|\{\{secret")
_PUTTY_KEY = to_pattern(rb"Private-Lines: \d+%b(.*?)%b(?:Private-MAC|\Z)" % (_BLANKS, _BLANKS), re.DOTALL)

# Members that only private keys have (RFC 7518 section 6); elsewhere their names say nothing.
_PRIVATE_JWK = to_pattern(rb"\"(?:d|p|q|dp|dq|qi|k)\\*+\"{1,2}+\s*+:\s*+\\*+\"{1,2}+([\w-]{16,})\\*+\"")

# How much is translated at once.
_BLOCK = 1 << 18


def blocks(text: bytes, shortest: int, border: re.Pattern[bytes]) -> Iterator[tuple[int, bytes]]:
    """Split a large text after `border`, and yield each part with its position; the text is never copied as a whole."""
    at = 0
    while at < len(text):
        found = border.search(text, at + shortest) if len(text) - at > shortest else None
        stop = found.end() if found is not None else len(text)
        yield at, text[at:stop]
        at = stop


# A copy in which all characters of a run are the same is searched: two searches are faster than a regular expression,
# and for most texts the first is enough.
_IN_RUN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+"
_OUT_OF_RUN = to_pattern(b"[^%b]" % re.escape(_IN_RUN))


def _marks(characters: bytes) -> bytes:
    return bytes(0x61 if octet in characters else 0x20 for octet in range(256))


def _next_run(marked: bytes, shortest: bytes, at: int) -> tuple[int, int] | None:
    start = marked.find(shortest, at)
    if start < 0:
        return None
    stop = marked.find(b" ", start)
    return start, stop if stop >= 0 else len(marked)


_MARKS_OF_RUNS, _SHORTEST_RUN = _marks(_IN_RUN), b"a" * SHORTEST_RUN
# Base64 on one line, or on lines of 56 characters or more; some of it may be escaped, as in JSON and in forms.
_BASE64 = to_pattern(
    rb"(?:[A-Za-z0-9+/]++|\\++/|%(?:25)*2[BFbf]"
    rb"|(?<=[A-Za-z0-9+/]{56})(?:\r?\n[ \t]*+|(?:\\++r)?\\++n)(?=[A-Za-z0-9+/]{56}))*+"
)
_BASE64_SIGN = to_pattern(rb"[+/%]")
_GOES_ON = frozenset(b"/\\%\r\n")
_LONGEST_NAME, _WORTH_A_COPY = 1 << 8, 1 << 12
_DEEP = 128  # characters; the first ones of base64 are checked like any other text


def runs(text: bytes) -> list[tuple[int, int]]:
    """Find where runs start and stop; not those deep inside base64, for example of an image.

    By chance, something there looks like any secret.
    """
    return runs_and_base64(text)[0]


def runs_and_base64(text: bytes) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Find where runs start and stop, and the base64 texts that contain others."""
    spans: list[tuple[int, int]] = []
    in_base64: list[tuple[int, int]] = []
    deep = stop_of_base64 = 0
    for first, block in blocks(text, _BLOCK, _OUT_OF_RUN):
        marked, at = block.translate(_MARKS_OF_RUNS), 0
        while (run := _next_run(marked, _SHORTEST_RUN, at)) is not None:
            start, stop = first + run[0], first + run[1]
            at = run[1]
            if deep <= start < stop_of_base64:
                at = marked.find(b" ", stop_of_base64 - 1 - first)  # after the run with which it ends
                if at < 0:
                    break
                continue
            spans.append((start, stop))
            if start >= stop_of_base64 and stop < len(text) and text[stop] in _GOES_ON:
                found = _BASE64.match(text, start)
                assert found is not None  # it may be empty
                deep, stop_of_base64 = start + _DEEP, found.end()
                if _BASE64_SIGN.search(text, start, stop_of_base64) is None:
                    deep = stop_of_base64  # a list of digests, or similar
                elif deep < stop_of_base64:
                    in_base64.append((deep, stop_of_base64))
    return spans, in_base64


def without_base64(text: bytes, in_base64: list[tuple[int, int]]) -> bytes:
    """Leave out the inner part of base64, where no names are, but keep its end, which may be a name."""
    parts: list[bytes] = []
    behind = 0
    for start, stop in in_base64:
        if stop - start > _WORTH_A_COPY:
            parts.append(text[behind:start])
            behind = stop - _LONGEST_NAME
    return b"".join([*parts, text[behind:]]) if parts else text


_LEGIBLE = bytes([*b"\t\n\r", *range(0x20, 0x7F)])
_MARKS_OF_LEGIBLE = _marks(_LEGIBLE)
SHORTEST_LEGIBLE = 8


def is_legible(octets: bytes) -> bool:
    """Tell whether octets would appear unchanged in the text of a binary content."""
    return len(octets) >= SHORTEST_LEGIBLE and not octets.translate(None, _LEGIBLE)


def legible(octets: bytes) -> bytes:
    """Join the texts in a binary content: all ASCII of some length, separated by NUL."""
    marked, at, texts = octets.translate(_MARKS_OF_LEGIBLE), 0, list[bytes]()
    while (run := _next_run(marked, b"a" * SHORTEST_LEGIBLE, at)) is not None:
        at = run[1]
        texts.append(octets[slice(*run)])
    return b"\0".join(texts)


# -- finding -------------------------------------------------------------------------------------------------

_GROUPS = {"s_" + name.replace("-", "_").replace("1", "one"): name for name in SHAPES}
# A slash may be escaped in JSON.
_ANY_PATH = to_pattern("|".join(PATHS.values()).replace("/", r"\\?/").encode(), re.ASCII)
_PATH_NAMES = list(PATHS)
# Each path contains one of them.
_WORDS_OF_PATHS = (b"hook", b"/bot", b"/services", b"/workflows", b"/triggers", b"/with")

# How a token may begin: at the start of a run, or in it after "_" or "-". A run without one of these is not a token:
# most identifiers, hashes and ids are sorted out here.
_BEGINNINGS = r"""
    00 1// 1000\. 11[0-9a-f] 4/0 4b1d \w{14}\.atlas A3- A3T ABIA ABSK AC[0-9a-f] ACCA access- AGE- aio_ AIza AKCp
    AKIA AKID amzn\.mws APA91b API- api[-_] apify_ AQVN ASIA ATATT ATBB ATCTT ATTA bb_live_ BBFF- bk[a-z]{2}_ BSA
    c[ksu]_ CCDB1_ CCIPAT_ cf(?:at|lt|k_|ut_) CFPAT cio CLOJARS_ cmVmd cnvca csk- dapi dbt[cu]_ dckr_ dd[opw]_ dG9rO
    dnkey- do[opr]_v1_ dp\. dt0 duffel_ e2b_ EAA esecret_ eyJ EZ[AT]K fc- figd_ fio-u- FLWSECK fm[12] fo1_ FQoGZXI
    fw_ FwoGZXI gh[pousr]_ github_pat_ gl[a-z]{1,5}[-_] GOCSPX GR13 gsk_ hbp_ hc[a-z]{2,3}_ hf_ HRKU- hv[sbr]\. ico-
    ion_ IQoJb3 jina_ key- KEY[0-9A-F] lin_ live_ llx- lsv2_ LTAI mdb_sa_ mfa\. mlsn\. napi_ nfp_ npm_ NR ntn_
    nvapi- ops_ oy2 p8e- pa- packagist_ pat pcsk_ pdl_ persona_ phx_ pk_ PMAK pn[bu]_ pplx- pscale_ pul pypi- r8_
    rdme_ re_ rnd_ rpa_ rubygems_ rzp_ s-s4 s\. samsara_ sat\. sb[ps]_ sb_s sdk- secret[-_] SG\. sgp_ sha256~
    shippo_ shp[a-z]{2,3}_ sk- SK[0-9a-f] sk\.eyJ sl\. sm_ sntry sq0 sq[pua]_ st\. syt_ t1\. test_ tfp_ tgp_ tk-us
    tr_ tskey- tvly- v1\.0- vc[aikpr]_ vercel_ waka_ whsec_ xa[ap]t- xai- xapp- xkeysib- xox[a-z]- ya29 YC zpka_
    [rs]k_ [MNO][\w-]{22,27}\. [0-9a-f]{32}- [0-9]{6,12}:AA [\w~.-]{3}[0-9]Q~ [A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk
    [A-Za-z0-9]{76}AZDO [A-Za-z0-9]{52}JQQJ99
"""


_BEGINS = any_of(_BEGINNINGS.split())
_ID = to_pattern(rb"(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_OPEN = frozenset(b".:/~")
_TO_THE_LEFT = 100
_MOST_ATTEMPTS = 100
# The same for all runs at once, with a space and the octet before each.
_RUN_BEGINS = to_pattern(
    rb" (?:\.|[:/~](?!(?:%b) )|(?:.|\\(?:[nrt]|u[0-9a-fA-F]{4})|%%[0-9A-Fa-f]{2})%b)" % (_ID.pattern, _BEGINS),
    re.ASCII | re.DOTALL,
)
_BEGINS_WITHIN = to_pattern(rb"[_+-]" + _BEGINS, re.ASCII)
# ASCII text in base64 has one of these at the beginning of each group of four. Ids are excluded, as they may too.
_NO_ID = to_pattern(rb" .(?!(?:%b) )[A-Za-z0-9+_-]{%d}" % (_ID.pattern, SHORTEST_RUN), re.DOTALL)
_BASE64_BEGINS = to_pattern(rb" .(?!(?:%b) )(?:[A-Za-f][A-Za-z0-9+_-]{3}){5}" % _ID.pattern, re.DOTALL)
_NAMES_OF_JWK = (b'kty"', b"kty\\", b"kty&")  # the quote may be escaped, also as in markup
# Each with one of its words.
_WORDS_IN_FRONT = [
    (max(re.findall(rb"[A-Za-z]+", in_front), key=len), in_front)
    for in_front in (
        b"earer ",
        b"PRIVATE KEY",
        b"Private-Lines",
        b"IncomingWebhook",
        SHORT_PATH,
        *_NAMES_OF_JWK,
    )
]


@cache
def _beginnings() -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Where a token may begin: after another octet (group 1), and after an escape; compiled late, like the shapes."""
    escape = rb"(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9a-fA-F]{4})"
    return to_pattern(rb"[^A-Za-z0-9](%b)" % _BEGINS, re.ASCII), to_pattern(rb"(?:%b)%b" % (escape, _BEGINS), re.ASCII)


def _next_beginning(text: bytes, at: int, stop: int, has_escapes: bool) -> int:
    """Where the next token in a part of a text may begin; `stop` if nowhere."""
    behind_other, behind_escape = _beginnings()
    if not at and behind_other.match(b" " + text[:stop]):
        return 0
    found = behind_other.search(text, max(at - 1, 0), stop)
    next_one = found.start(1) if found is not None else stop
    if has_escapes:  # few texts have them, and checking what is before each octet takes ten times as long
        found = behind_escape.search(text, at, stop)
        next_one = min(next_one, found.start()) if found is not None else next_one
    return next_one


@cache
def _combined() -> re.Pattern[bytes]:
    """All shapes in one pattern; compiled for the first text with something that begins like one, which is rare."""
    return to_pattern("|".join(f"(?P<{group}>{SHAPES[name]})" for group, name in _GROUPS.items()).encode(), re.ASCII)


def joined(text: bytes, spans: list[tuple[int, int]]) -> bytes:
    """All runs, each with a space and the octet before it, so that they can be searched at once."""
    return b" %b " % b" ".join([text[start - 1 : stop] if start else b"\n" + text[:stop] for start, stop in spans])


def has_words_in_front(text: bytes, words: bytes) -> bool:
    """Tell whether a text has words that come before a key, or before a token after its scheme.

    `words` are the telling words of the text (`words_of_names`).
    """
    return bool(words) and any(word in words and text.find(in_front) >= 0 for word, in_front in _WORDS_IN_FRONT)


def has_secret_in_place(text: bytes, words: bytes) -> bool:
    """Tell whether a text has a secret in one of the forms `IN_PLACE`; `words` are the telling words of the text."""
    forms = IN_PLACE.values() if words else _IN_PLACE_WITHOUT_WORDS
    return any(text.find(mark) >= 0 and form.search(text) is not None for mark, form in forms)


def has_beginning(inside: bytes) -> bool:
    """Tell whether something that looks like a secret could begin in one of the joined runs."""
    return _RUN_BEGINS.search(inside) is not None or _BEGINS_WITHIN.search(inside) is not None


def has_more_than_ids(inside: bytes) -> bool:
    """Tell whether one of the joined runs is not an id, such as a digest or UUID."""
    return _NO_ID.search(inside) is not None


def may_be_base64(inside: bytes) -> bool:
    """Tell whether one of the joined runs could be base64 of a text."""
    return _BASE64_BEGINS.search(inside) is not None


def find_shapes(text: bytes, spans: list[tuple[int, int]]) -> Iterator[tuple[int, int, str]]:
    """Find secrets by their form in a text whose runs are known: start, stop and the name of the shape.

    They are in order, and do not overlap.
    """
    found = list(_find_paths(text, 0, len(text))) if SHORT_PATH in text else []
    for name, (mark, form) in IN_PLACE.items():
        found += [(*value.span(1), name) for value in form.finditer(text)] if mark in text else []
    if not (spans or found):
        return
    if any(name in text for name in _NAMES_OF_JWK):
        found += [(*member.span(1), "private-key") for member in _PRIVATE_JWK.finditer(text)]
    if b"PRIVATE KEY" in text:
        found += [(*span, "private-key") for span in _key_blocks(text)]
    if b"Private-Lines" in text:
        found += [(*key.span(1), "private-key") for key in _PUTTY_KEY.finditer(text)]
    found += find_in_runs(text, spans)
    last = 0
    for start, stop, name in sorted(found, key=lambda each: (each[0], -each[1])):
        if last <= start < stop:
            yield start, stop, name
            last = stop


def find_in_runs(text: bytes, spans: list[tuple[int, int]]) -> Iterator[tuple[int, int, str]]:
    """Find tokens and paths that contain a run, like `find_shapes`; they may overlap."""
    may_have_paths: bool | None = None
    has_escapes = b"\\" in text or b"%" in text
    behind = 0
    for start, stop in spans:
        at = max(behind, start)
        if start and text[start - 1] in _OPEN:
            # Parts before a dot, a colon or a slash may belong to it, but not a quote or a space.
            at = max(behind, start - _TO_THE_LEFT)
            at = max(at, text.rfind(b'"', at, start) + 1, text.rfind(b" ", at, start) + 1)
            if may_have_paths is None:
                may_have_paths = any(text.find(word) >= 0 for word in _WORDS_OF_PATHS)
            if may_have_paths:
                yield from _find_paths(text, at, min(len(text), stop + _TO_THE_LEFT))
        if stop <= behind or (_ID.fullmatch(text, start, stop) and text[start - 1 : start] != b"."):
            continue
        stop = min(stop, start + _DEEP)
        failed = 0
        # A run made only of beginnings is not a token, and each might be searched up to its end.
        while failed < _MOST_ATTEMPTS and (begins := _next_beginning(text, at, stop, has_escapes)) < stop:
            token = _combined().match(text, begins)
            at = begins + 1
            failed += 1
            if token is not None:
                failed = 0
                yield (*token.span(), _GROUPS[str(token.lastgroup)])
                at = behind = token.end()


def key_span(text: bytes) -> tuple[int, int] | None:
    """Where the key is in a text that contains the lines around a private key."""
    return next(_key_blocks(text), None) if b"PRIVATE KEY" in text else None


def _key_blocks(text: bytes) -> Iterator[tuple[int, int]]:
    """Where keys are: between their first and last line, or up to a cut-off. Programs also contain these lines."""
    for found in _KEY_BLOCK.finditer(text):
        if _KEY_MATERIAL.search(found[1]) is not None:
            yield found.span(1)


def without_tokens(text: str, instead: str) -> str:
    """Replace all tokens in a text, for example in the name of a test with a token as a parameter."""
    octets = text.encode("utf-8", "surrogatepass")
    for start, stop, _ in reversed([*find_shapes(octets, runs(octets))]):
        octets = octets[:start] + instead.encode() + octets[stop:]
    return octets.decode("utf-8", "surrogatepass")


def _find_paths(text: bytes, start: int, stop: int) -> Iterator[tuple[int, int, str]]:
    for path in _ANY_PATH.finditer(text, start, stop):
        assert path.lastindex is not None  # each path has its group
        yield (*path.span(path.lastindex), _PATH_NAMES[path.lastindex - 1])
