"""Runs public suites as they were released, with the plugin that they were written for and then with ours.

    .venv/bin/python -m tests.compat.public [name ...]

Each suite comes from the source distribution of its project. It is run in an environment with its own requirements,
then again after the plugin was swapped, and the outcomes are compared test by test. Needs a package index, and no other
network: what is not replayed fails. Not part of the test run, as it installs hundreds of packages.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv" / "public"


@dataclass(frozen=True)
class Suite:
    """A source distribution with tests and cassettes, and what it takes to run them with the `plugin` they are for.

    `imports_vcr`: its own modules import VCR.py, and get our imports to run with ours.
    """

    project: str
    version: str
    plugin: str
    requirements: tuple[str, ...]
    arguments: tuple[str, ...] = ("tests",)
    environment: dict[str, str] = field(default_factory=dict)
    imports_vcr: bool = False


SUITES = (
    Suite(
        "Mastodon.py",
        "2.3.3",
        "pytest-recording",
        (".[test,blurhash,webpush,websocket_streaming,grapheme]", "setuptools"),
        ("tests", "--record-mode=none", "--no-cov"),
    ),
    Suite(
        "opentelemetry-instrumentation-anthropic",
        "0.62.4",
        "pytest-recording",
        (".", "anthropic[bedrock]==0.86.0", "opentelemetry-sdk", "pytest-asyncio<0.24", "pytest<9", "vcrpy>=8"),
        ("tests", "--record-mode=none"),
        {"ANTHROPIC_API_KEY": "test"},
    ),
    Suite(
        "opentelemetry-instrumentation-bedrock",
        "0.62.4",
        "pytest-recording",
        (
            *(".", "aioboto3==14.3.0", "opentelemetry-sdk", "pytest-asyncio>=0.23,<1"),
            *("pytest<9", "vcrpy>=8,<9"),
        ),
        ("tests", "--record-mode=none"),
    ),
    Suite(
        "opentelemetry-instrumentation-openai",
        "0.62.4",
        "pytest-recording",
        (
            *(".", "openai[datalib]==1.99.7", "opentelemetry-sdk", "pytest-asyncio>=0.23.7,<0.24", "pytest<9"),
            *("requests", "vcrpy>=8,<9"),
        ),
        ("tests", "--record-mode=none"),
        {"OPENAI_API_KEY": "test"},
    ),
    Suite(
        "opentelemetry-instrumentation-botocore",
        "0.66b2",
        "pytest-vcr",
        (
            *(".", "boto3", "opentelemetry-test-utils==0.66b2", "opentelemetry-propagator-aws-xray"),
            *("vcrpy>=7", "pytest<9"),
        ),
        ("tests/test_botocore_bedrock.py", "--vcr-record=none"),
    ),
    Suite(
        "opentelemetry-instrumentation-openai-v2",
        "2.4b0",
        "pytest-vcr",
        (
            *(".", "openai==2.26.0", "opentelemetry-util-genai==0.4b0", "opentelemetry-sdk", "httpx==0.27.2"),
            *("vcrpy>=7", "pytest<9", "pytest-asyncio"),
        ),
        ("tests", "--vcr-record=none"),
    ),
    Suite(
        "langchain-openai",
        "1.7.4",
        "pytest-recording",
        (
            *(".", "langchain>=1,<2", "langchain-tests>=1.1.9,<2", "pytest-asyncio>=1.3", "pytest-retry<1.8"),
            *("pytest-mock", "pytest-cov", "syrupy", "vcrpy>=8.2", "pillow", "httpx", "numpy", "pytest-socket"),
        ),
        ("tests/integration_tests/chat_models", "-m", "vcr", "--record-mode=none"),
        {"OPENAI_API_KEY": "test"},
    ),
    Suite(
        "langchain-anthropic",
        "1.7.10",
        "pytest-recording",
        (
            *(".", "langchain>=1,<2", "langchain-tests>=1.1.9,<2", "pytest-asyncio>=1.3", "pytest-retry<1.8"),
            *("pytest-mock", "syrupy", "vcrpy>=8.2", "defusedxml", "blockbuster", "pytest-socket"),
        ),
        ("tests/integration_tests", "-m", "vcr", "--record-mode=none"),
        {"ANTHROPIC_API_KEY": "test"},
    ),
    Suite(
        "opentelemetry-instrumentation-groq",
        "0.62.4",
        "pytest-recording",
        (".", "groq>=1.2", "opentelemetry-sdk", "pytest-asyncio>=0.23.7,<0.24", "pytest<9", "vcrpy>=8,<9"),
        ("tests", "--record-mode=none"),
        {"GROQ_API_KEY": "test"},
    ),
    Suite(
        "opentelemetry-instrumentation-mistralai",
        "0.62.4",
        "pytest-recording",
        (".", "mistralai>=1,<2", "opentelemetry-sdk", "pytest-asyncio>=0.23.7,<1.4", "pytest<9", "vcrpy>=8,<9"),
        ("tests", "--record-mode=none"),
        {"MISTRAL_API_KEY": "test"},
    ),
    Suite(
        "opentelemetry-instrumentation-cohere",
        "0.62.4",
        "pytest-recording",
        (".", "cohere>=5.18,<6", "opentelemetry-sdk", "pytest-asyncio>=1.2,<2", "pytest<9", "vcrpy>=8,<9"),
        ("tests", "--record-mode=none"),
        {"COHERE_API_KEY": "test"},
    ),
    Suite(
        "opentelemetry-instrumentation-ollama",
        "0.62.4",
        "pytest-recording",
        (".", "ollama>=0.4.7,<0.5", "opentelemetry-sdk", "pytest-asyncio>=0.23.7,<0.24", "pytest<9", "vcrpy>=8,<9"),
        ("tests", "--record-mode=none"),
    ),
    Suite(
        "opentelemetry-instrumentation-together",
        "0.62.4",
        "pytest-recording",
        (".", "together>=1.2,<2", "opentelemetry-sdk", "pytest-asyncio>=0.23.7,<0.24", "pytest<9", "vcrpy>=8,<9"),
        ("tests", "--record-mode=none"),
        {"TOGETHER_API_KEY": "test"},
    ),
    Suite(
        "opentelemetry-instrumentation-langchain",
        "0.62.4",
        "pytest-recording",
        (
            *(".", "anthropic>=0.75,<0.83", "boto3", "langchain-anthropic>=1,<2", "langchain-aws>=1,<2"),
            *("langchain-classic>=1,<2", "langchain-cohere>=0.5,<0.6", "langchain-community>=0.4,<0.5"),
            *("langchain-huggingface>=1,<2", "langchain-openai>=1,<2", "langchain>=1,<2", "langgraph>=1,<2"),
            *("opentelemetry-instrumentation-bedrock", "opentelemetry-instrumentation-openai", "opentelemetry-sdk"),
            *("pytest-asyncio>=0.24,<1.4", "pytest<9", "vcrpy>=8,<9"),
        ),
        ("tests", "--record-mode=none"),
    ),
    Suite(
        "berserk",
        "0.14.0",
        "pytest-recording",
        (".", "pytest", "pydantic", "requests-mock", "vcrpy"),
        ("tests", "--record-mode=none"),
    ),
    Suite("garth", "0.8.0", "pytest-vcr", (".", "freezegun", "pytest", "vcrpy"), ("tests", "--vcr-record=none")),
    Suite(
        "habanero",
        "2.9.2",
        "pytest-recording",
        (".", "pytest", "vcrpy"),
        ("test", "-o", "python_files=test*.py", "--record-mode=none"),
    ),
    Suite("prawcore", "4.0.0", "vcrpy", (".", "pytest"), imports_vcr=True),
    Suite(
        "asyncprawcore",
        "4.0.0",
        "pytest-vcr",
        (".", "pytest", "pytest-asyncio"),
        ("tests", "-o", "asyncio_mode=auto"),
        imports_vcr=True,
    ),
    Suite("praw", "8.0.3", "vcrpy", (".", "pytest"), ("tests/integration",), imports_vcr=True),
    Suite(
        "asyncpraw",
        "8.0.3",
        "pytest-vcr",
        (".", "pytest", "pytest-asyncio==1.4.*"),
        ("tests/integration",),
        imports_vcr=True,
    ),
    Suite(
        "magentic",
        "0.41.1",
        "pytest-recording",
        (
            *(".[anthropic,litellm]", "inline-snapshot", "logfire>=0.46.1,<0.50.0", "pytest-asyncio", "pytest-cov"),
            *("pytest-mock", "python-dotenv", "vcrpy"),
        ),
        ("tests", "--record-mode=none"),
        {"OPENAI_API_KEY": "test", "ANTHROPIC_API_KEY": "test"},
        imports_vcr=True,
    ),
    Suite(
        "pydantic-ai",
        "1.0.0",
        "pytest-recording",
        (
            *(".", "openai<1.108", "anthropic<0.67", "mistralai<1.10", "google-genai<1.36", "groq<0.32", "cohere<5.18"),
            *("opentelemetry-sdk<1.37", "logfire<4.5", "mcp<1.14", "huggingface_hub<0.35", "temporalio<1.18"),
            *(
                "pydantic<2.12",
                "boto3<1.41",
                "aiohttp<3.13",
                "vcrpy==7.0.0",
                "pytest<9",
                "pytest-mock",
                "pytest-examples",
            ),
            *("dirty-equals", "inline-snapshot<0.29", "devtools", "asgi-lifespan"),
        ),
        ("tests/models", "tests/providers", "tests/test_thinking_part.py", "--record-mode=none", "-W", "default"),
        imports_vcr=True,
    ),
    Suite(
        "earthaccess",
        "0.17.0",
        "vcrpy",
        (".", "pytest", "responses", "xarray", "dask[distributed]", "h5netcdf", "geopandas"),
        ("tests/unit",),
        imports_vcr=True,
    ),
    Suite(
        "eutils",
        "0.6.0",
        "vcrpy",
        (".", "pytest", "pytest-cov", "mock"),
        ("-c", "pytest.ini", "tests"),
        imports_vcr=True,
    ),
    Suite(
        "siphon",
        "0.11.0",
        "vcrpy",
        (".[extras]", "pytest", "xarray", "netCDF4"),
        ("tests",),
        {"PYTHONPATH": "src"},  # a module of the package itself imports VCR.py
        imports_vcr=True,
    ),
    Suite(
        "ga4gh.vrs",
        "2.3.3",
        "pytest-vcr",
        (".[extras]", "pytest", "pytest-cov", "vcrpy>=7"),
        ("tests", "--vcr-record=none", "--ignore=tests/validation"),
    ),
    Suite("wayback", "0.5.1", "vcrpy", (".[test]", "pytest"), ("src/wayback/tests",), imports_vcr=True),
    Suite("subliminal", "2.8.0", "vcrpy", (".[tests]", "pytest"), ("tests",), imports_vcr=True),
    Suite(
        "datadog-api-client",
        "2.62.0",
        "pytest-recording",
        (".[tests]", "setuptools<81", "vcrpy<9"),
        ("-c", "pytest.ini", "tests/v1", "-p", "no:randomly", "--record-mode=none"),
    ),
    Suite(
        "tiingo",
        "0.16.1",
        "vcrpy",
        (".", "pytest", "pandas", "websocket-client", "websockets"),
        ("-c", "setup.cfg", "tests", "--ignore=tests/test_api_key_tools.py"),
        {"TIINGO_API_KEY": "test"},
        imports_vcr=True,
    ),
)

# What `docs/migrating.md` says to do with a suite that imports VCR.py.
IMPORTS = (
    (re.compile(r"^( *)from vcr\.matchers import", re.MULTILINE), r"\1from cassette_http.vcr.matchers import"),
    (re.compile(r"^( *)from vcr(\.[a-z0-9_.]+|_unittest)? import", re.MULTILINE), r"\1from cassette_http.vcr import"),
    (
        re.compile(r"^( *)import vcr(\.[a-z0-9_.]+)?( as [a-z_]+)?( *#.*)?$", re.MULTILINE),
        r"\1from cassette_http import vcr\3\4",
    ),
)


def prepare(suite: Suite) -> Path:
    """Make the environment of a suite, and unpack its tests; both stay for the next run."""
    folder = FOLDER / f"{suite.project}-{suite.version}"
    if not (folder / "ready").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
        pip(folder, "download", "--no-deps", "--no-binary", ":all:", "-d", ".", f"{suite.project}=={suite.version}")
        (archive,) = folder.glob("*.tar.gz")
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
        next(path for path in folder.iterdir() if (path / "PKG-INFO").is_file()).rename(folder / "tree")
        pip(folder / "tree", "install", *suite.requirements, python=folder / "env/bin/python")
        (folder / "ready").touch()
    return folder


def pip(folder: Path, *arguments: str, python: Path | None = None) -> None:
    subprocess.run(
        [python or folder / "env/bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        cwd=folder,
        check=True,
    )


def run(suite: Suite, folder: Path, *plugins: str) -> dict[str, str]:
    """Run a fresh copy of the suite with one plugin for cassettes; give the outcome of each test."""
    python, copy, report = folder / "env/bin/python", folder / "run", folder / "report.xml"
    pip(folder, "uninstall", "--yes", "pytest-recording", "pytest-vcr", "cassette-http")
    pip(folder, "install", *plugins)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / "tree", copy)
    if suite.imports_vcr and suite.plugin not in plugins:
        change_imports(copy)
    environment = {**os.environ, **suite.environment}
    environment.pop("CI", None)
    with open(folder / f"{plugins[0].rpartition('/')[2]}.log", "w") as log:
        command: list[str | Path] = [python, "-m", "pytest", "-c", "pyproject.toml", "-p", "no:cacheprovider", "-q"]
        command += [f"--junitxml={report}", *suite.arguments]
        subprocess.run(command, cwd=copy, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
    outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        words = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        outcomes[f"{case.get('classname')}::{case.get('name')}"] = "+".join(words) or "passed"
    return outcomes


def change_imports(tree: Path) -> None:
    for module in tree.rglob("*.py"):
        text = module.read_text(encoding="utf-8")
        for pattern, replacement in IMPORTS:
            text = pattern.sub(replacement, text)
        module.write_text(text, encoding="utf-8")


def main(names: list[str]) -> int:
    print("| suite | written for | tests | passed with it | passed with ours | different |")
    print("|---|---|---|---|---|---|")
    different = {}
    for suite in SUITES:
        if names and suite.project not in names:
            continue
        folder = prepare(suite)
        theirs, ours = run(suite, folder, suite.plugin), run(suite, folder, str(ROOT))
        found = {name: (theirs.get(name), ours.get(name)) for name in {*theirs, *ours}}
        different[suite.project] = {name: pair for name, pair in sorted(found.items()) if pair[0] != pair[1]}
        passed = [Counter(outcomes.values())["passed"] for outcomes in (theirs, ours)]
        numbers = (len(theirs), *passed, len(different[suite.project]))
        print(f"| {suite.project} {suite.version} | {suite.plugin} | {' | '.join(map(str, numbers))} |", flush=True)
    print(json.dumps({name: pairs for name, pairs in different.items() if pairs}, indent=1))
    return int(any(different.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
