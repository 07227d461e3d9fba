"""Tokens that are known by their look, each in a few places; and what only begins like one."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.model import Interaction
from cassette_http.cassette.secrets.redaction import Redactor
from cassette_http.cassette.secrets.shapes import SHAPES
from tests.cassette.messages import request
from tests.cassette.test_redaction_places import answer, interaction, made_up

UUID = "<x8>-<x4>-<x4>-<x4>-<x12>"
TOKENS = {
    "adafruit": ["aio_<A28>"],
    "adobe": ["p8e-<A32>"],
    "alibaba": ["LTAI5t<A18>"],
    "anyscale": ["esecret_<a32>"],
    "apify": ["apify_api_<A36>"],
    "artifactory": ["AKCp<A69>", "cmVmd<A59>"],
    "aws-session": ["IQoJb3JpZ2luX2Vj<A300>==", "FwoGZXIvYXdzE<A200>"],
    "aws-mws": [f"amzn.mws.{UUID}"],
    "azure-key": ["<A76>AZDO<A4>", "<A52>JQQJ99<A26>"],
    "aws-bedrock": ["ABSK<A128>="],
    "axiom": [f"xaat-{UUID}", f"xapt-{UUID}"],
    "brave": ["BSA0a<A26>"],
    "browserbase": ["bb_live_<A27>"],
    "canva": ["cnvca<A48>"],
    "cerebras": ["csk-<a48>"],
    "checkly": ["cu_<x32>"],
    "clickhouse": ["4b1d<A38>"],
    "clickup": ["pk_12345678_<U32>"],
    "clojars": ["CLOJARS_<a60>"],
    "cloudflare": ["v1.0-<x24>-<x146>", "cfut_<A48>"],
    "cockroachdb": ["CCDB1_<A22>_<A40>"],
    "confluent": ["cflt<A60>"],
    "crates-io": ["cio<A32>"],
    "dbt": ["dbtc_<A40>"],
    "defined-networking": ["dnkey-<U26>-<U52>"],
    "deno": ["ddp_<A36>", "ddo_<A36>"],
    "duffel": ["duffel_test_<A43>"],
    "e2b": ["e2b_<x40>"],
    "easypost": ["EZAK<A54>", "EZTK<A54>"],
    "elevenlabs": ["sk_<x48>"],
    "firebase": ["APA91b<A134>"],
    "firecrawl": ["fc-<x32>"],
    "flutterwave": ["FLWSECK-<x32>-X", "FLWSECK_TEST-<x32>-X"],
    "fireworks": ["fw_3Z<A22>"],
    "fly": ["fo1_<A43>", "fm2_<A200>=="],
    "frame-io": ["fio-u-<A64>"],
    "gocardless": ["live_A0<A38>"],
    "harness": ["pat.<A22>.<x24>.<A20>"],
    "honeybadger": ["hbp_<A36>"],
    "honeycomb": ["hcaik_<a58>"],
    "infisical": ["st.<x24>.<x32>.<x32>"],
    "infracost": ["ico-<A32>"],
    "intercom": ["dG9rO<A55>="],
    "intra42": ["s-s4t2ud-<x64>"],
    "ionic": ["ion_<A42>"],
    "jenkins": ["11<x32>"],
    "jina": ["jina_<x32><A28>"],
    "klaviyo": ["pk_<x34>"],
    "launchdarkly": [f"api-{UUID}", f"sdk-{UUID}"],
    "llamaindex": ["llx-<A48>"],
    "lob": ["live_<x35>", "test_<x35>"],
    "mailersend": ["mlsn.<x64>"],
    "matrix": ["syt_Ym9i_wQkLmNoPqRsTuVwXyZab_<A6>"],
    "maxmind": ["<A6>_<A29>_mmk"],
    "mongodb": ["mdb_sa_sk_<A40>"],
    "neon": ["napi_<a64>"],
    "nuget": ["oy2<a43>"],
    "octopus": ["API-<U26>"],
    "okta": ["00aB<A38>"],
    "onfido": ["api_live.<A11>.<A32>", "api_sandbox_us.<A11>.<A32>"],
    "packagist": ["packagist_uut_<x68>"],
    "paddle": ["pdl_live_apikey_<a26>_<A22>_<A3>"],
    "persona": [f"persona_sandbox_{UUID}"],
    "plaid": [f"access-sandbox-{UUID}"],
    "prefect": ["pnu_<A36>"],
    "razorpay": ["rzp_live_<A14>"],
    "readme": ["rdme_<a70>"],
    "render": ["rnd_<A28>"],
    "resend": ["re_<A8>_<A24>"],
    "runpod": ["rpa_<U46>"],
    "samsara": ["samsara_api_<A30>"],
    "scalingo": ["tk-us-<A48>"],
    "segment": ["sgp_<A64>"],
    "settlemint": ["sm_aat_<A16>"],
    "shippo": ["shippo_live_<x40>"],
    "stytch": ["secret-live-<A35>="],
    "tavily": ["tvly-dev-<A32>"],
    "telnyx": ["KEY0123456789ABCDEF0123456789ABCDEF_<A22>"],
    "tencent": ["AKID<A32>"],
    "together": ["tgp_v1_<A43>"],
    "trello": ["ATTA<x72>"],
    "trigger": ["tr_dev_<A20>"],
    "typeform": ["tfp_<A44>_<A12>"],
    "ubidots": ["BBFF-<A30>"],
    "vault-of-old": ["s.0aB<A21>"],
    "vercel": ["vercel_blob_rw_<A16>_<A30>", "vcp_<A56>"],
    "voyage": ["pa-0B<A41>"],
    "wakatime": [f"waka_{UUID}"],
    "woocommerce": ["ck_<x40>", "cs_<x40>"],
    "yandex": ["AQVN<A36>", "YC<A38>", "t1.<A100>.<A86>"],
    "zoho": ["1000.<x32>.<x32>"],
    "zuplo": ["zpka_<a32>_<x8>"],
}
PLACES: dict[str, Callable[[str], Interaction]] = {
    "in JSON": lambda token: answer(json.dumps({"items": [{"note": token}]})),
    "in a text": lambda token: answer(f"Use {token}, and keep it.\n"),
    "in a path": lambda token: interaction(request(target=f"/v1/{token}/items")),
    "in a query": lambda token: interaction(request(target=f"/v1?q={token}")),
    "in a list": lambda token: answer(f"a_b-{token}\n{token}"),
}


@pytest.mark.parametrize("name", TOKENS)
def test_token_is_hidden_wherever_it_is(name: str) -> None:
    assert name in SHAPES
    for token in map(made_up, TOKENS[name]):
        for place, planted in PLACES.items():
            document = yaml_format.dump_interaction(Redactor().redact(planted(token)))
            assert token.rstrip("=").encode()[-16:] not in document, (place, token)
            kept = yaml_format.dump_interaction(Redactor(keep=[name]).redact(planted(token)))
            assert token.rstrip("=").encode()[-6:] in kept, (place, token)


@pytest.mark.parametrize(
    "text",
    [
        "test_reading_of_a_file_that_was_never_written live_view_of_the_last_twenty_items",
        "test_0123456789abcdef0123456789abcdef0123456 ck_editor_configuration_of_a_page_x",
        "pk_user_accounts_and_their_addresses fk_orders_customers re_match_of_all_the_expressions",
        "napi_create_string_utf8_from_a_buffer_of_some_length_that_is_known_already_x",
        "API-REFERENCE-OF-ALL-SERVICES api-reference-of-all-the-services sdk-for-all-the-languages",
        "sdk-python-3.11-manylinux_2_17_x86_64 secret-live-and-let-live-in-the-house-of-them",
        "YCombinator_and_all_the_other_companies_there KEYBOARD_LAYOUT_OF_ALL_THE_COUNTRIES_x",
        "cio_pipeline_of_some_deployment_in_the_cloud cu_seconds_of_the_processor_of_all",
        "ion_drive_of_the_ship_that_came_from_afar ico_of_the_page_that_nobody_has_seen_yet",
        "access-control-allow-credentials access-production-databases-of-the-company",
        "LTAIR_of_some_kind_or_another_thing_there fc-barcelona-and-all-the-other-clubs",
        "4b1d9b7e0f5c4f3e8a7d6c5b4a39281706f5e4d3 4b1d9b7e-0f5c-4f3e-8a7d-6c5b4a392817",
        "oy2_of_some_kind_or_another_thing_there_is pat.of.the.month st.of.all.the.places.in.it",
        "tr_dev_of_all_machines rnd_numbers_between_zero_and_one_hundred re_exports_of_all_modules",
        "live_view_of_the_last_twenty_items_in_the_table pa-system-for-all-the-rooms-of-the-house-and-yard-x",
        "s.readTheNextRecordOfTheFile(4) s.numberOfAllTheOtherThings fw_rules_of_the_zone BSAND_of_all_the_rows_x",
        "004a3bf5d1e2c7089b6a5f4e3d2c1b0a9f8e7d6c5b 00_of_the_first_migration_of_all_the_tables_2 AKIDS_OF_THE_TABLE",
        "persona_production_database_of_users hc_of_the_mountains_and_of_all_the_other_places_x",
    ],
)
def test_what_begins_like_a_token_and_is_none_stays(text: str) -> None:
    plain = answer(json.dumps({"text": text, "words": text.split()}))
    assert Redactor().redact(plain).track.octets == plain.track.octets
