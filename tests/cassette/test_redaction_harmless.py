"""Answers as real services give them, with names and values that remind of secrets: not an octet of them changes."""

from __future__ import annotations

import gzip
import json

import pytest

from cassette_http.cassette.model import Interaction, Origin, Piece, Request, Track
from cassette_http.cassette.secrets.redaction import Redactor
from cassette_http.wire.chunking import chunk, last_chunk

ORIGIN = Origin("https", "api.test", 443)
SHA1 = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SHA512 = "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="
UUID = "123e4567-e89b-12d3-a456-426614174000"

JSON = {
    "AWS, pages and locks": {
        "nextForwardToken": "f/39145763128967812873618723618723",
        "WebACLs": [{"Id": UUID, "LockToken": UUID}],
        "deltaLink": "https://graph.test/users/delta?$deltatoken=Xy7Kq2Lm9Pz4Rt6Vw8Bn1Cd3Fg5",
        "annotations": {"checksum/secret": SHA256},
        "passwordPolicies": "DisablePasswordExpiration",
        "factorType": "token:software:totp",
    },
    "signatures of documents": {
        "signatures": [{"keyid": SHA256, "sig": SHA256 + SHA256}],
        "tree_head_signature": "BAMARzBFAiEAlKqNnIzUbDhGxY7vHkOtqC1wR5mZsXc3fBpJtQyWnLsCIGm9sXv",
        "headers": [{"name": "DKIM-Signature", "value": "v=1; a=rsa-sha256; d=a.test"}],
    },
    "names in a chain": {
        "token_standard": "ERC721",
        "token_symbol": "XYZ1",
        "nonce": "0x1a2b3c4d5e6f7081",
        "scriptSig": {"hex": "47" + SHA256 + SHA256},
    },
    "GitHub, the public key of a repository": {"key_id": "568250167242549743", "key": SHA512[:43] + "="},
    "etcd": {"kvs": [{"key": "L2NvbmZpZy9zaXplL2Fh", "value": "MTI="}]},
    "a label of a code": {"password": "Zugangscode"},
    "Kubernetes, other kinds": {
        "items": [
            {"kind": "ConfigMap", "data": {"a": "keepme1234"}},
            {"kind": "Secret", "metadata": {"uid": UUID}, "type": "Opaque"},
            {"kind": "SecretStore", "data": {"a": "keepme1234"}},
        ]
    },
    "values that are public": {
        "a": {"sensitive": False, "value": "keepme1234"},
        "b": {"Type": "String", "Value": "keepme1234"},
    },
    "what a model thought": {"type": "thinking", "thinking": 'a "b"', "signature": "EqQBCkYIBxgCKkBzP8n4tT7qLxq1"},
    "the same in another order": {"signature": "EqQBCkYIBxgCKkBzP8n4tT7qLxq1", "thinking": "a", "type": "thinking"},
    "titles": {"title": "Password managers: what to know", "msg": "token: refreshed", "api_key_id": "k_17abc"},
    "tokens of languages and chains": [
        {"token": "hello", "score": 0.97},
        {"search_token": "red", "chain": {"token": "USDC"}},
        {"msg": "unexpected token: `fn`", "commit": "Fix token: handle expiry"},
    ],
    "sessions and signatures of another kind": [
        {"session": "morning"},
        {"session": "118th Congress", "term": "fall-2026"},
        {"session": "2023"},
        {"timeSignature": "4/4", "key_signature": "D major"},
        {"signature": "login(user: str, password: str) -> bool"},
        {
            "verification": {
                "signature": "-----BEGIN PGP SIGNATURE-----\n\nwsBcBAABCAAQBQJdC3nM\n-----END PGP SIGNATURE-----\n"
            }
        },
    ],
    "Consul, a lock": {"LockIndex": 1, "Key": "zip", "Flags": 0, "Session": UUID, "ModifyIndex": 200},
    "Twilio": {"sid": "SM1f0e8ae6ade43cb3c0ce4525424e404f", "status": "queued"},
    "Elasticsearch, tokens": {"tokens": [{"token": "quick", "start_offset": 0, "end_offset": 5}]},
    "Cognito, units": {"TokenValidityUnits": {"AccessToken": "minutes", "RefreshToken": "days"}},
    "dependencies": {"secrets.js": "latest", "csrf-tokens": "workspace:^", "js-tokens": "^4", "token": "1 || 2"},
    "what is wrong with a value": {
        "errors": {"password": ["is too short", "can't be blank"], "token": "has expired", "secret": "missing"},
        "rules": {"password": "required|min:8|confirmed"},
    },
    "a token in a chain": {"token": "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"},
    "the head of a JWT": {"PurchaseToken": "eyJ2IjoiMSIsInMiOjEsImMiOi..."},
    "GitHub, a picture of a cookie": {"cookie": "https://github.test/images/icons/emoji/cookie.png?v5"},
    "texts of a page": {
        "InvalidUsernameOrPassword": "Invalid sign in. (Passwords are case sensitive.)",
        "RetypeNewPassword": "Retype New Password",
        "ResetPasswordAdditional": "For additional help, contact {0}Product Support{1}.",
        "MissingPassword": "It looks like you have no password yet. To continue, check your mail",
    },
    "Mailman, who a token is for": {"token_owner": "moderator", "key_owner": "subscriber"},
    "what identifies a version": {
        "abstract": 'The product (currently identified by "v8.2") and (identified by "_rt_")'
    },
    "GitHub, repository": {
        "id": 1296269,
        "node_id": "MDEwOlJlcG9zaXRvcnkxMjk2MjY5",
        "name": "token-service",
        "full_name": "octocat/token-service",
        "private": False,
        "owner": {"login": "octocat", "avatar_url": "https://avatars.test/u/1?v=4", "type": "User"},
        "keys_url": "https://api.test/repos/octocat/token-service/keys{/key_id}",
        "description": "Keeps session tokens, passwords: never in the clear",
        "topics": ["password", "secrets", "token"],
        "default_branch": "main",
        "permissions": {"admin": False, "push": False, "pull": True},
        "license": {"key": "mit", "name": "MIT License", "spdx_id": "MIT"},
        "security_and_analysis": {"secret_scanning": {"status": "enabled"}},
    },
    "GitHub, commit": {
        "sha": SHA1,
        "commit": {
            "message": "Fix password reset\n\nThe session: it ended too early.\nToken handling: see #12",
            "tree": {"sha": SHA1, "url": f"https://api.test/repos/o/r/git/trees/{SHA1}"},
            "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None},
        },
        "author": {"login": "octocat", "site_admin": False},
        "parents": [{"sha": SHA1, "html_url": f"https://github.test/o/r/commit/{SHA1}"}],
    },
    "GitHub, issue": {
        "number": 1347,
        "state": "open",
        "title": "Password field: invalid input is accepted",
        "body": "Steps:\n1. enter a token\n2. the password: must be refused\n\n| key | state |\n|---|---|\n| a | b |\n",
        "labels": [{"id": 208045946, "name": "session", "color": "f29513", "default": True}],
        "state_reason": None,
        "active_lock_reason": "too heated",
    },
    "GitHub, error": {
        "message": "Validation Failed",
        "errors": [{"resource": "Token", "field": "password", "code": "missing_field"}],
        "documentation_url": "https://docs.test/rest/authentication#token",
    },
    "Stripe, charge": {
        "id": "ch_3MmlLrLkdIwHu7ix0snN0B15",
        "object": "charge",
        "balance_transaction": "txn_3MmlLrLkdIwHu7ix0uke3Ezy",
        "payment_method": "pm_1MmlLrLkdIwHu7ixIJwEWSNR",
        "receipt_url": "https://pay.stripe.test/receipts/payment/CAcaFwoVYWNjdF8xTTJKVGtMa2RJd0h1N2l4",
        "metadata": {"order_key": "6735", "state": "new"},
        "card": {"fingerprint": "mToisGZ01V71BCos", "last4": "4242", "network_token": None},
        "created": 1679090539,
    },
    "Stripe, list": {"object": "list", "url": "/v1/keys", "has_more": False, "data": []},
    "AWS, dynamo": {"Table": {"KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}], "TableArn": "arn:aws:x:y"}},
    "AWS, page": {"NextToken": "AAAAAAAAAAGyTK4bGd9aUg1l2gW0zLqX", "MaxResults": 50, "nextPageToken": None},
    "Google, page": {
        "kind": "list",
        "nextPageToken": "CAUQAA29ZkxhbmdMb25nZXJUaGFuVGhhdA",
        "syncToken": "CPDAlvWDx70CEP",
    },
    "OpenID, metadata": {
        "issuer": "https://accounts.test",
        "token_endpoint": "https://accounts.test/oauth/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "session"],
        "grant_types_supported": ["password", "refresh_token"],
        "code_challenge_methods_supported": ["plain", "S256"],
    },
    "OAuth, error": {"error": "invalid_token", "error_description": "The access token expired", "state": "xyz"},
    "OAuth, key set": {"keys": [{"kty": "RSA", "use": "sig", "kid": "2026-01-key", "alg": "RS256", "e": "AQAB"}]},
    "OAuth, public keys": {
        "keys": [{"kty": "EC", "crv": "P-256", "kid": UUID, "x": SHA512[:43], "y": SHA512[:43]}],
        "hooks": f"https://a.test/hooks/{UUID}/files/app.{SHA256[:32]}.js",
    },
    "OpenAPI": {
        "paths": {
            "/login": {
                "post": {
                    "summary": "Log in with a password",
                    "parameters": [
                        {"name": "api_key", "in": "header", "required": False, "schema": {"type": "string"}},
                        {"name": "token", "in": "query", "description": "Your token: see the manual"},
                    ],
                    "security": [{"api_key": []}, {"petstore_auth": ["write:pets", "read:pets"]}],
                }
            }
        },
        "components": {
            "schemas": {
                "Login": {
                    "required": ["username", "password"],
                    "properties": {
                        "username": {"type": "string"},
                        "password": {"type": "string", "format": "password", "minLength": 8},
                        "token": {"$ref": "#/components/schemas/Token"},
                        "session_count": {"type": "integer"},
                    },
                }
            },
            "securitySchemes": {
                "ApiKeyAuth": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "oauth": {"type": "oauth2", "flows": {"password": {"tokenUrl": "https://a.test/token", "scopes": {}}}},
            },
        },
    },
    "JSON Schema": {"enum": ["token", "secret"], "required": ["password", "email"], "type": "object"},
    "GraphQL, introspection": {
        "data": {
            "__type": {
                "fields": [
                    {"name": "password", "type": {"kind": "SCALAR", "name": "String"}},
                    {"name": "token", "description": "the token of a session", "isDeprecated": False},
                    {"name": "secret", "args": [], "defaultValue": None},
                ]
            }
        }
    },
    "validation": {
        "errors": {"password": ["is too short (minimum is 8 characters)", "can't be blank"], "token": ["has expired"]}
    },
    "language model": {
        "id": "chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW",
        "choices": [
            {
                "message": {"role": "assistant", "content": "A password: must be long. Token: a piece of a word."},
                "logprobs": {"content": [{"token": "Hello", "logprob": -0.31, "bytes": [72, 101], "top_logprobs": []}]},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 12,
            "total_tokens": 21,
            "token_details": {"cached_tokens": 0},
        },
        "system_fingerprint": "fp_44709d6fcb",
        "max_tokens": 4096,
        "stop_token": "<|end|>",
    },
    "npm": {
        "name": "keyv",
        "dist-tags": {"latest": "4.5.4"},
        "keywords": ["key", "store", "token"],
        "dist": {
            "shasum": SHA1,
            "integrity": f"sha512-{SHA512}",
            "tarball": "https://registry.test/keyv/-/keyv-4.5.4.tgz",
        },
    },
    "npm, signatures": {
        "dist": {
            "shasum": SHA1,
            "signatures": [
                {
                    "keyid": "SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA",
                    "sig": f"MEUCIQ{SHA512[:86]}w=",
                }
            ],
        }
    },
    "labels in other languages": {
        "de": {"password": "Passwort", "passwordConfirm": "Passwort wiederholen", "newPassword": "Neues Passwort"},
        "fr": {"password": "Mot de passe", "login.password": "Mot de passe perdu ?"},
        "it": {"password": "Parola d'ordine"},
    },
    "pages of an AWS service": {
        "ListThings": {"input_token": "nextToken", "output_token": "nextToken", "limit_key": "maxResults"},
        "ListOthers": {"input_token": "Marker", "output_token": "NextMarker", "result_key": "Others"},
    },
    "npm, packages": {
        "dependencies": {
            "jsonwebtoken": "^9.0.2",
            "express-session": "~1.17.3",
            "csrf-token": ">=2.0.0",
            "keytar": "*",
        },
        "devDependencies": {"js-tokens": "4.0.0-beta.1", "password-hash": "1.2.2"},
    },
    "texts of a program": {
        "login": {
            "forgot_password": "Forgot your password?",
            "password": "Password",
            "api_key": "API key",
            "new_password": "Your new password",
        },
        "session": "Session",
        "confirm": {
            "password_confirmation": "Confirm your password",
            "token": "Access token:",
            "secret": "Client secret",
        },
    },
    "objects of S3": {
        "Contents": [{"Key": f"uploads/2026/{SHA1}.png", "Size": 7}],
        "key": f"tmp/{SHA256}",
    },
    "tokens of a chain": {"tokenId": "7804", "token_id": "12", "tokenURI": "ipfs://a", "totalSupply": "10000"},
    "docker": {"digest": f"sha256:{SHA256}", "layers": [{"digest": f"sha256:{SHA256}", "size": 32654}]},
    "Kubernetes": {
        "spec": {
            "containers": [
                {
                    "env": [{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}],
                    "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets", "readOnly": True}],
                }
            ],
            "serviceAccountName": "default",
        },
        "metadata": {"uid": UUID, "resourceVersion": "12345678", "continue": ""},
    },
    "search": {"hits": [{"_id": UUID, "_source": {"keyword": "secret garden", "author": "F. H. Burnett"}}], "took": 3},
    "log of actions": {
        "action": "token.created",
        "actor": "bob",
        "target": "password-policy",
        "at": "2026-11-26T10:00:00Z",
    },
    "settings of a form": {"fields": [{"type": "password", "label": "Password", "placeholder": "Your password"}]},
    "pairs of words": {
        "synonyms": [["token", "session"]],
        "columns": ["password", "created_at"],
        "tags": ["secret", "agent"],
    },
    "schemas of an API": {
        "secret": {"shape": "PrivateKeyAttributesV2"},
        "secret_ref": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf",
        "client_secret": "projects/p-1/secrets/db-password/versions/2",
        "service_account_token": "bool",
        "image_pull_secrets": "list[V1LocalObjectReference]",
        "refresh_token": "refreshToken",
        "tokenDomains": ["a2.test", "b2.test"],
        "signatureVersions": ["v2", "v4"],
        "state": "InvalidS3ConfigurationException",
        "code": "WSAEPROVIDERFAILEDINIT",
        "tokenColor": "#d0d0d0",
        "PWD": "/home/nodeuser2/project/node",
    },
    "translations": {"messages": {"invalid": "This token: not valid", "hint": "Password: at least 8 characters"}},
}

TEXTS = {
    "TypeScript": "export interface Credentials { password: string; secret: Uint8Array; sessionId: number }\n",
    "words about values": '{"token": "expired", "secret": "hidden", "password": "required"}',
    "session of a conference": '{"session": "2026-spring"}',
    "types in quotes": 'async def get(session: "ClientSession", token: "AccessToken") -> None: ...\n',
    "an example": "```\nexport TOKEN=your-token-here\n```\n",
    "page with keys to press": """<a accesskey="n" href="b.html">Next</a> <a href="a.html" accesskey="p">Previous</a>
<ul><li><a accesskey='2' href="#x">X</a></li></ul>
""",
    "signatures of functions": """Password = c_uint32
_new.__text_signature__ = '($cls, _typename, /, **kwargs)'
nox --session "tests(httpx)"
token: sha256
#define TOKEN_MAX "128 octets"
_DD_SIGNATURE = 0x08074b50
token = -1
TOKEN_KEY = "auth_token"
msg = f"&X-Amz-Signature={signature}"
local token = lexer:next()
""",
    "a matrix of sessions": """include:
  - python-version: 3.8
    nox-session: test-3.8
  - session: "docs-build"
    secretDoor: KeyE
secrets: inherit
""",
    "rows of SQL": "INSERT INTO t (session, password, title) VALUES ('morning', NULL, 'x'), ('noon', ?, 'p4ssw0rd');\n",
    "options of commands": "docker run --name mysql -p 3306:3306 mysql; mongo --help; mkdir -p /data/db1\n",
    "names of services": "passwd:         files systemd\ngroup:          files systemd\n",
    "a table of sessions": "Session,Speaker,Room\nOpening Keynote,Ada,A1\nPanel: AI in 2026,Bob,B2\n",
    "a form to log in": '<input type="submit" name="session[commit]" value="Sign in" data-password-target="input">',
    "a catalogue": 'msgid "Enter password:"\nmsgstr "Code eingeben:"\n',
    "an example of a field": "<p>Use <code>Authorization: Bearer YOUR_TOKEN</code>.</p>",
    "a log": 'level=warn msg="secret not found" secret=default/my-tls\n',
    "login page": """<!DOCTYPE html>
<html><head><title>Log in: token or password</title><meta name="description" content="Log in">
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><form action="/session" method="post">
<label for="password">Password</label>
<input type="text" name="username" id="username" value="bob"><input type="password" name="password" id="password">
<input name="token" placeholder="Your token" value=""><button name="session" value="">Log in</button>
<p>Password: at least 8 characters.</p>
<p>Forgot your password? <a href="/password/reset?step=1&amp;from=login">Reset your password</a></p>
<select name="state"><option value="open">Open</option></select>
</form></body></html>
""",
    "head of a page": """<meta name="csrf-param" content="authenticity_token">
<meta name="csrf-header" content="X-CSRF-Token">
<input type="hidden" name="csrf_param" value="authenticity_token">
""",
    "end of a page": "<input type=password name=password placeholder='Password'>",
    "page of docs": """<h2 id="token">Token</h2><dl><dt>password</dt><dd>the password of the account</dd></dl>
<table><tr><th>Name</th><th>Type</th></tr><tr><td>api_key</td><td>string</td></tr></table>
<pre>curl -H "Authorization: Bearer $TOKEN" https://api.test/keys?key=users</pre>
<a name="secret">Secrets</a><span data-key="users">x</span>
""",
    "manual": """# Authentication

Pass your token in the field Authorization: it is checked with each request.
The password: must have 8 characters and a digit. Session: the time between login and logout.

    password: string, required
    token: optional
    api_key: your key
    secret: must not be empty

| parameter | type |
|---|---|
| password | string |
""",
    "OpenAPI in YAML": """components:
  schemas:
    Login:
      required: [username, password]
      properties:
        password:
          type: string
          format: password
        token:
          $ref: '#/components/schemas/Token'
  securitySchemes:
    api_key:
      type: apiKey
      name: X-Api-Key
      in: header
""",
    "script": """function login(user, password) {
  const token = getToken(user);
  let secret = options.secret;
  this.password = password;
  if (token === null) { return fetch(url, {headers: {Authorization: token}}); }
  session = e.session; var key = keys[0];
  return { password: password, token: token, secret: props.secret, apiKey: this.apiKey };
}
!function(e,t){var n=e.token,r=t.password;a=n?token:r;session=e.session;password=f(r),token=n;e.secret=r}();
""",
    "types": """interface Login {
  password: string;
  token?: string;
  secret: string | null;
  apiKey: Promise<string>;
}
type Query { token: String! login(password: String!): Session }
""",
    "program": """def login(password: str, token: str | None = None) -> None:
    password = getpass.getpass()
    token = response.json()["token"]
    secret = os.environ["SECRET"]
    self.password = password
    session = requests.Session()
""",
    "SQL": "CREATE TABLE users (id INTEGER, password TEXT NOT NULL, token VARCHAR(64), secret_key BLOB);\n",
    "metrics": """# TYPE http_requests_total counter
http_requests_total{method="post",key="users",code="200"} 1027 1395066363000
token_bucket_size{session="none"} 12
process_start_time_seconds 1.7e9
""",
    "access log": f"""10.0.0.1 - bob [26/Nov/2026:10:00:00 +0000] "GET /keys?key=users&page=2 HTTP/1.1" 200 {SHA1}
10.0.0.1 - - [26/Nov/2026:10:00:01 +0000] "POST /password/reset HTTP/1.1" 302 0 "https://a.test/token" "curl/8.5"
""",
    "application log": f"""2026-11-26 10:00:00 INFO token refreshed user=bob request_id={UUID} took=12ms
2026-11-26 10:00:01 WARN invalid password: too short key=users state=open
2026-11-26 10:00:02 ERROR session expired: please log in again
""",
    "trace": """Traceback (most recent call last):
  File "/app/token.py", line 7, in password
KeyError: 'password'
ValueError: token: invalid literal
""",
    "style": "input[type=password]:focus{color:#fff}.token{content:'x'}.key:hover{state:none}",
    "simple index": f'<a href="/pkgs/token-1.0.tar.gz#sha256={SHA256}">token-1.0.tar.gz</a><br/>',
    "S3 listing": f"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated><NextContinuationToken>1ueGcxLPRx1Tr</NextContinuationToken>
<Contents><Key>secrets/password.txt</Key><LastModified>2026-11-26T10:00:00.000Z</LastModified><ETag>&quot;{SHA1[:32]}&quot;</ETag>
<Owner><ID>{SHA256}</ID></Owner></Contents></ListBucketResult>""",
    "XML in XML": "<a>&lt;note&gt;The password: it is &quot;long&quot;.&lt;/note&gt;&lt;token/&gt;</a>",
    "calls": "t('password', 'Password'); check('token', token); addError('password', 'is too short');",
    "feed": """<rss><channel><title>Token news</title><item><title>Password: the end?</title>
<guid isPermaLink="false">key-17</guid>
<description>&lt;p&gt;The secret: &quot;patience&quot;.&lt;/p&gt;</description></item></channel></rss>""",
    "table": "id,name,state,key,token_count\n1,anna,open,users,128\n2,bob,closed,groups,7\n",
    "table of words": "Hello, your token, please\nDear password, dear secret\n",
    "mail": "Dear Bob,\n\nPassword: changed on 2026-11-26.\nKeep your token: it opens the door.\n",
    "events": 'event: token\ndata: {"delta": "key", "index": 0}\n\nevent: session\ndata: [DONE]\n\n',
    "commands": "usage: tool --token TOKEN [--password PASSWORD] --key users --api-key <key> --secret $SECRET\n",
    "Dockerfile": "FROM python\nENV PASSWORD_FILE /run/secrets/db\nENV TOKEN_TTL 3600\nARG API_KEY\nENV SECRET=\n",
    "environment of a container": """env:
- name: DB_PASSWORD
  valueFrom:
    secretKeyRef: {name: db, key: password}
- name: TOKEN_TTL
  value: "3600"
- name: API_KEY
  value: ${API_KEY}
password: |
  The password must be long.
token: >-
  Your token is shown once.
""",
    "arrows": "xs.map(token=>token.value).filter((password) => check(password)); const f={password=>ok};",
    "destructuring": "const {password: hidden, token: bearerTokenOfTheUser} = props; f({secret: e});",
    "commands with users": "curl -u user:password https://a.test/\ncurl --user $USER:$PASSWORD -u ${A}:${B} https://a.test/\n",
    "names of secrets": """_CLIENT_SECRET = 'CLIENT_SECRET'
proxied = set(('refresh_token', 'response_types'))
SESSION_COOKIE_NAME = 'sid17' if token == END_ELEMENT2 else 'sid18'
replaced = line.replace("AWSAccessKeyId", "aws_access_key_id").replace("token", "secret_key")
""",
    "expressions": """import os
def send(url, password=b'', token: str | None = None, secret=None):
    authorization = b"Basic " + credentials2
    headers['Authorization'] = ', '.join(header)
    client_secret = self.oauth2_parameters.client_secret
    encryption_key = TEST_ENCRYPTION_KEY1
    print("shlex: token=" + repr(raw2))
    if token == 'def1' or (secret != r'[A-Z]\\w*' and raw2):
        log.info('token', 'getting list 2')
""",
    "a cookie that is put together": """function setCookie(cname, cvalue, exdays) {
    document.cookie = cname + "=" + cvalue + ";" + expires + ";path=/";
}
""",
    "a field that is put together": """headers = {"Authorization": "Bearer " + token}
headers['Authorization'] = 'Token ' + token
""",
    "empty defaults in a patch": "-    client_secret='', callback=None, github=None):\n+    client_id='')\n",
    "a name in place of a value": "gh = login('<u>', password='<password>')\n>>> gh.user()\n<password>: </password>\n",
    "assemblies of .NET": """System.Web, Version=4.0.0.0, PublicKeyToken=b03f5f7f11d50a3a
<assemblyIdentity name="a" publicKeyToken="b03f5f7f11d50a3a" culture="neutral"/>
C:/GAC_32/System.Web/4.0.0.0__b03f5f7f11d50a3a/x.dll
""",
    "options in sentences": "Adds --password and --token flags to the parser; --password is only given if needed.",
    "lines around a key": """PKCS1 = ("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----")
START = b"-----BEGIN OPENSSH PRIVATE KEY-----"
""",
    "constants with types": """class Settings:
    password: str = Field(...)
    token: str | None = None
    auth_header: str = "Authorization"
    private static final String TOKEN_PARAM = "token";
const tokenUrl: string = "https://a.test/x";
SECRET_KEY = "AWS_SECRET_ACCESS_KEY"
authorization = request_headers["Authorization"]
AllowedKeys: TypeAlias = Union[RSAKeys, ECKeys]
""",
    "documentation": "http.Request.auth_password: attribute\nMy password: a sad story\nYour token: how it works\n",
    "lists of YAML": "secrets:\n- db_password\n- github_token\nkeys:\n- id\ntokens:\n- name: a\n  value: b\n",
    "a map and a Secret that holds none": "kind: ConfigMap\ndata:\n  a: keepme1234\n---\nkind: Secret\nname: x\n",
    "reStructuredText": "A :token:`bracket_open_2` begins it; see :secret:`bracket_close_2`.\n",
    "names in elements": "<p><code>AWSCloudTrailAclCheck20131101</code>, <code>vpce-01234d5aff67890e1</code></p>",
    "fetch": "fetch('/session', {method: 'POST', credentials: 'include', passwordPattern: /^[a-z0-9]+$/});",
    "robots": "User-agent: *\nDisallow: /token/\nSitemap: https://a.test/sitemap.xml\n",
    "certificate": "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUJ8mSsLkvbrIjBhTc3Tj\n-----END CERTIFICATE-----\n",
}

FIELDS = [
    'WWW-Authenticate: Bearer realm="api", error="invalid_token", error_description="The token: expired"',
    'WWW-Authenticate: Digest realm="a", qop="auth", algorithm=SHA-256',
    "Access-Control-Allow-Headers: Authorization, X-Api-Key, X-CSRF-Token",
    "Vary: Cookie, Authorization, X-Api-Key",
    f'ETag: W/"{SHA1}"',
    'Link: <https://api.test/keys?page=2&per_page=100>; rel="next", <https://api.test/keys?page=9>; rel="last"',
    "X-Memc-Key: 58015024cad18b088f714b2f76f51c12",
    "Set-Cookie: theme=dark; Path=/; Max-Age=31536000",
    f"X-Request-Id: {UUID}",
    "X-RateLimit-Remaining-Tokens: 149984",
    "Content-Security-Policy: default-src 'self'; script-src 'nonce-r4nd0m' https://cdn.test; report-uri /token",
    "Location: https://api.test/users/17/keys?state=open#token",
    'Server-Timing: token;dur=12.5;desc="key look-up"',
    'Content-Disposition: attachment; filename="password.txt"',
    "X-Debug: token=absent session=new password=required key=users",
    f"Location: https://api.test/a;v=1/token/{UUID}/secrets/name-of-a-secret/passwords",
]


def got(body: bytes, *fields: str) -> Interaction:
    head = "\r\n".join(["HTTP/1.1 200 OK", *fields, f"Content-Length: {len(body)}", "", ""]).encode()
    request = Request(ORIGIN, b"GET /keys?page=2&key=users HTTP/1.1\r\nHost: api.test\r\nAccept: */*\r\n\r\n")
    return Interaction(ORIGIN, request, Track((Piece(head + body),)))


def sent(body: bytes, *fields: str) -> Interaction:
    head = "\r\n".join(["PUT /a HTTP/1.1", "Host: api.test", *fields, f"Content-Length: {len(body)}", "", ""]).encode()
    return Interaction(ORIGIN, Request(ORIGIN, head, body), Track((Piece(b"HTTP/1.1 204 No Content\r\n\r\n"),)))


def spelled(value: object) -> list[bytes]:
    """JSON as programs write it."""
    whole = [
        json.dumps(value),
        json.dumps(value, ensure_ascii=False, indent=2),
        json.dumps(value, separators=(",", ":")),
    ]
    return [
        text.encode() for text in (*whole, json.dumps({"body": whole[0]}), f"callback({whole[2]})", f"{whole[0]}\n" * 2)
    ]


def changed(body: bytes) -> list[Interaction]:
    """What is redacted of a body, as it is sent and received, and under codings."""
    ways = [
        got(body),
        got(body, "Content-Type: text/plain; charset=utf-8"),
        got(gzip.compress(body), "Content-Encoding: gzip"),
        got(body.decode().encode("utf-16"), "Content-Type: text/plain"),
        got(body, "Content-Type: text/html; charset=iso-8859-1"),
        sent(body),
    ]
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = b"".join(chunk(body[at : at + 100]) for at in range(0, len(body), 100))
    ways.append(Interaction(ORIGIN, ways[0].request, Track((Piece(head + pieces + last_chunk()),))))
    redactor = Redactor()
    return [redacted for way in ways if (redacted := redactor.redact(way)) is not way]


@pytest.mark.parametrize("name", JSON)
def test_json_of_services_comes_back_unchanged(name: str) -> None:
    assert [each for body in spelled(JSON[name]) for each in changed(body)] == []


@pytest.mark.parametrize("name", TEXTS)
def test_texts_of_services_come_back_unchanged(name: str) -> None:
    assert changed(TEXTS[name].encode()) == []
    assert changed(json.dumps({"text": TEXTS[name]}).encode()) == []


@pytest.mark.parametrize("line", FIELDS)
def test_fields_of_services_come_back_unchanged(line: str) -> None:
    assert changed(b"") == []
    recorded = got(b"{}", line)
    assert Redactor().redact(recorded) is recorded


@pytest.mark.parametrize("first", [b"", b"a text, " * 600], ids=["alone", "behind texts"])
def test_a_file_in_a_multipart_comes_back_unchanged(first: bytes) -> None:
    file = (
        b"\x89PNG\r\n\x1a\n\0\0"
        + bytes(range(256)) * 40
        + b"?O|PW=\xc6Xb\x1fj\x94 --password abc\0"
        + bytes(range(256))
    )
    text = b'--border1\r\nContent-Disposition: form-data; name="note"\r\n\r\n%b\r\n' % first
    part = b'--border1\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n%b\r\n--border1--\r\n' % file
    recorded = sent(text + part, "Content-Type: multipart/form-data; boundary=border1")
    assert Redactor(environment={}).redact(recorded) is recorded


def test_a_token_that_a_test_makes_up_is_not_searched_in_what_refuses_it() -> None:
    refusal = 'WWW-Authenticate: Bearer realm="reddit", error="invalid_token"'
    request = Request(ORIGIN, b"GET / HTTP/1.1\r\nHost: api.test\r\nAuthorization: bearer invalid_token\r\n\r\n")
    redacted = Redactor(environment={}).redact(Interaction(ORIGIN, request, got(b"{}", refusal).track))
    assert redacted.request is not None
    assert b"invalid_token" not in redacted.request.head_octets
    assert refusal.encode() in redacted.track.octets
