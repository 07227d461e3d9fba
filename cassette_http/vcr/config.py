"""Translates what suites for VCR.py give in `vcr_config`, in the marker `vcr` and to `VCR` to our options.

    filters, ignored hosts, before_record_request   one function `on_match`: what is matched, and recorded
    before_record_response, decode_...              one function, both `on_record` and `on_replay`
    before_save_interaction, after_load_interaction `on_record`, `on_replay`
    match_on, additional_matchers                   `match`
    allow_playback_repeats                          `repeat`
    record_on_exception                             `only_on_success`
    record_mode                                     `mode`
    max_age (of cassetter)                          `max_age`

Functions get requests and responses as VCR.py's are (see `objects`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cassette_http.cassette import matching
from cassette_http.cassette.model import Interaction, Request
from cassette_http.cassette.rule_notation import did_you_mean
from cassette_http.errors import InvalidOption
from cassette_http.vcr import filters
from cassette_http.vcr.objects import VcrRequest, response_dict, with_response_dict

RequestFunction = Callable[[Any], Any]

DEFAULTS: dict[str, Any] = {"match_on": ("method", "scheme", "host", "port", "path", "query")}

# Options about VCR.py's own implementation. They have no counterpart, and make no difference in our replay.
WITHOUT_MEANING = frozenset({"skip_patchers", "with_current_defaults"})
# Handled where the cassette is opened.
OF_USES = frozenset(
    {
        *("cassette_library_dir", "path_transformer", "serializer", "persister", "path"),
        *("allowed_hosts", "inject_cassette", "func_path_generator"),
    }
)
UNSUPPORTED = {"custom_patches": "no library is patched here, so there is nothing that it could add to"}
NOT_DONE = {"drop_unused_requests": "--cassette-prune does it for a whole run"}
# Our names for them.
OWN_WORDS = {"mode": "record_mode", "match": "match_on", "redact": "filter_headers", "repeat": "allow_playback_repeats"}


class NotRegistered(InvalidOption, KeyError):
    """There is no matcher or serializer with this name; VCR.py raises a KeyError."""

    __str__ = Exception.__str__


@dataclass
class Translated:
    """`options` are arguments of `use_cassette`, with `mode` if one was given; `remarks` are for the user."""

    options: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def translate(config: Mapping[str, Any], matchers: Mapping[str, Callable[..., Any]] | None = None) -> Translated:
    """Translate a configuration; `matchers` are those that the suite registered. Raises InvalidOption."""
    done = Translated()
    given = {**DEFAULTS, **config}
    known = {"record_mode", "match_on", "additional_matchers", "allow_playback_repeats", "filter_sensitive_data"}
    known |= {"record_on_exception", "max_age"}
    known |= REQUEST_KEYS | RESPONSE_KEYS | {"before_save_interaction", "after_load_interaction"}
    for key, value in given.items():
        if key in UNSUPPORTED and value:
            raise InvalidOption(f"vcr: {key!r} cannot be kept: {UNSUPPORTED[key]}; take it out")
        if key in NOT_DONE:
            if value:  # what VCR.py does by default is not missed
                done.remarks.append(f"vcr: {key!r} is not done here: {NOT_DONE[key]}")
        elif key not in known | WITHOUT_MEANING | OF_USES | UNSUPPORTED.keys():
            done.remarks.append(
                f"vcr: {key!r} is not known here, and does nothing{did_you_mean(OWN_WORDS.get(key, key), known)}"
            )
    options = done.options
    if given.get("record_mode") is not None:
        options["mode"] = given["record_mode"]
    names = (*given["match_on"], *given.get("additional_matchers", ()))
    options["match"] = [_matcher(name, matchers or {}) for name in names]
    if given.get("allow_playback_repeats"):
        options["repeat"] = "first"
    if not given.get("record_on_exception", True):
        options["only_on_success"] = True
    if given.get("max_age"):
        options["max_age"] = given["max_age"]
    if given.get("filter_sensitive_data"):
        options["secrets"] = _secrets(given["filter_sensitive_data"], done)
    functions = _request_functions(given)
    if functions:
        options["on_match"] = _request_hook(functions)
    responses = _response_functions(given)
    changes = [_response_hook(responses)] if responses else []
    # Like VCR.py: responses are changed before an interaction is stored, and after it was loaded.
    options["on_record"] = [*changes, *_interaction_hooks(given, "before_save_interaction")]
    options["on_replay"] = [*_interaction_hooks(given, "after_load_interaction"), *changes]
    return done


def _secrets(given: Any, done: Translated) -> dict[str, str]:
    pairs = dict(given)
    for name, value in pairs.items():
        if callable(value):
            done.remarks.append(f"vcr: 'filter_sensitive_data' with a function, for {name!r}, does nothing here")
    return {str(name).strip("<>{} "): str(value) for name, value in pairs.items() if value and not callable(value)}


# ---------------------------------------------------------------------- matchers

NAMES = {"url": "uri", "json_body": "body"}
# Fields that VCR.py does not see, as they are added below the place where it records.
ADDED_BELOW = frozenset({"host", "content-length", "transfer-encoding", "accept-encoding", "connection"})


def _matcher(given: Any, registered: Mapping[str, Callable[..., Any]]) -> Any:
    if callable(given):
        return _of_vcr_requests(given)
    if given in registered:
        return _of_vcr_requests(registered[given])
    name = NAMES.get(given, given)
    try:
        matching.resolve((name,))
    except InvalidOption as error:
        raise NotRegistered(*error.args) from None
    return headers if name == "headers" else name


def _of_vcr_requests(function: Callable[..., Any]) -> Callable[[Request, Request], Any]:
    """A function of two requests: it refuses with False, or with an assertion that fails."""

    def accepts(sent: Request, recorded: Request) -> Any:
        return function(VcrRequest.of(sent), VcrRequest.of(recorded))

    accepts.__name__ = getattr(function, "__name__", type(function).__name__)
    return accepts


def headers(request: Request) -> Any:
    """Match by header fields, except those that VCR.py does not record."""
    return tuple(pair for pair in matching.headers(request) if pair[0] not in ADDED_BELOW)


headers.needs_body = False  # type: ignore[attr-defined]  # read by `matching.resolve`


# ---------------------------------------------------------------------- requests

REQUEST_KEYS = frozenset(
    {
        *("filter_headers", "filter_query_parameters", "filter_post_data_parameters", "ignore_hosts"),
        *("filter_nested_post_data_parameters", "ignore_localhost", "before_record_request", "before_record"),
    }
)
LOCAL_HOSTS = ("localhost", "0.0.0.0", "127.0.0.1", "::1")


def _request_functions(config: Mapping[str, Any]) -> list[RequestFunction]:
    functions: list[RequestFunction] = []
    if headers_to_replace := config.get("filter_headers"):
        functions.append(lambda request: filters.replace_headers(request, headers_to_replace))
    if parameters := config.get("filter_query_parameters"):
        functions.append(lambda request: filters.replace_query_parameters(request, parameters))
    if posted := config.get("filter_post_data_parameters"):
        is_deep = bool(config.get("filter_nested_post_data_parameters"))
        functions.append(lambda request: filters.replace_body_parameters(request, posted, is_deep))
    ignored = [*(config.get("ignore_hosts") or ()), *(LOCAL_HOSTS if config.get("ignore_localhost") else ())]
    if ignored:
        functions.append(lambda request: None if _is_one_of(request.host, ignored) else request)
    functions += _several(config.get("before_record_request") or config.get("before_record"))
    return functions


def _several(given: Any) -> list[Callable[..., Any]]:
    if given is None:
        return []
    return list(given) if isinstance(given, Iterable) else [given]


def _request_hook(functions: list[RequestFunction]) -> Callable[[Request], Request | None]:
    def before_record_request(request: Request) -> Request | None:
        changed: Any = VcrRequest.of(request)
        for function in functions:
            changed = function(changed)
            if not changed:
                return None
        return VcrRequest.applied_to(changed, request)

    return before_record_request


def _is_one_of(host: str | None, ignored: Iterable[Any]) -> bool:
    return any(one.fullmatch(host or "") is not None if isinstance(one, re.Pattern) else one == host for one in ignored)


# ---------------------------------------------------------------------- responses

RESPONSE_KEYS = frozenset({"before_record_response", "decode_compressed_response"})


def _response_functions(config: Mapping[str, Any]) -> list[Callable[..., Any]]:
    decoding = [filters.decode_response] if config.get("decode_compressed_response") else []
    return [*decoding, *_several(config.get("before_record_response"))]


def _response_hook(functions: list[Callable[..., Any]]) -> Callable[[Interaction], Interaction | None]:
    def before_record_response(interaction: Interaction) -> Interaction | None:
        response = response_dict(interaction)
        if response is None:
            return interaction
        for function in functions:
            response = function(response)
            if response is None:
                return None
        return with_response_dict(interaction, response)

    return before_record_response


def _interaction_hooks(config: Mapping[str, Any], name: str) -> list[Callable[[Interaction], Interaction | None]]:
    def hook_of(function: Callable[[Any, Any], Any]) -> Callable[[Interaction], Interaction | None]:
        def hook(interaction: Interaction) -> Interaction | None:
            request, response = interaction.request, response_dict(interaction)
            if request is None or response is None:
                return interaction
            pair = function(VcrRequest.of(request), response)
            if pair is None:
                return None
            changed = replace(interaction, request=VcrRequest.applied_to(pair[0], request))
            return with_response_dict(changed, pair[1])

        return hook

    functions = _several(config.get(name))
    for function in functions:
        try:
            inspect.signature(function).bind(None, None)
        except TypeError:
            raise InvalidOption(f"{name} takes functions of a request and a response, not {function!r}") from None
    return [hook_of(function) for function in functions]
