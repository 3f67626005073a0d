"""Keys that every ClearML server comes with: anybody can read them in its public repository, so none may work here.

Constants on purpose, and not taken from the code that they test.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

# apiserver/config/default/secure.conf of current servers; "old" are those of servers 1.x, still in many instructions.
KEY_PAIRS = {
    "apiserver": (
        "62T8CP7HGBC6647XF9314C2VY67RJO",
        "gaOfhDX2-bpkeI7-cwEcaMuGijxaG2UG3jbIvg4DxmVGF0LNI7rgvCb1-ne38IlBo1w",
    ),
    "fileserver": ("GSQWPEKSKNKF354LC9V6BHXKTYFD5I", "tuBXcGQBECsEhcNiK2kiWi750z9r8Z85XrQ9V0c24huTuCb2xf2X1nKG"),
    "webserver": (
        "EYVQ385RW7Y2QQUH88CZ7DWIQ1WUHP",
        "XhkH6a6ds9JBnM_MrahYyYdO-wS2bqFSm8gl-V0UZXH26Ydd6Eyi28TeBEoSr6Z3Bes",
    ),
    "tests": ("EGRTCO8JMSIGI6S39GTP43NFWXDQOW", "LPEJbGJ6bK4tujQcmrD3i1dbMBDdwUwelVa-LG0K0FFmY9bzH_H0Sw"),
    "apiserver (old)": (
        "62T8CP7HGBC6647XF9314C2VY67RJO",
        "FhS8VZv_I4%6Mo$8S1BWc$n$=o1dMYSivuiWU-Vguq7qGOKskG-d+b@tn_Iq",
    ),
    "webserver (old)": (
        "EYVQ385RW7Y2QQUH88CZ7DWIQ1WUHP",
        "yfc8KQo*GMXb*9p((qcYC7ByFIpF7I&4VH3BfUYXH%o9vX1ZUZQEEw1Inc)S",
    ),
    "tests (old)": ("EGRTCO8JMSIGI6S39GTP43NFWXDQOW", "x!XTov_G-#vspE*Y(h$Anm&DIc5Ou-F)jsl$PdOyj5wG1&E!Z8"),
}
TOKEN_SECRETS = {
    "current": "Rq8FW84sSqVgq7WvBB_4EzNl9y8z8IGiDXX3C345_a5AZfcwZcwCIA",
    "old": "7E1ua3xP9GT2(cIQOfhjp+gwN6spBeCAmN-XuugYle00I=Wc+u",
}
COMPANY = "d1bd92a3b039400cbafc60a7a5b1e52b"


def forge_token(secret: str, role: str = "root") -> str:
    """A token as the server makes them, signed with the given secret."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    identity = {"role": role, "user": "__root__", "company": COMPANY, "user_name": "root", "company_name": "clearml"}
    claims = {"identity": identity, "auth_type": "Bearer", "env": "<unknown>", "iat": int(time.time())}
    message = ".".join(part(json.dumps(piece).encode()) for piece in ({"alg": "HS256", "typ": "JWT"}, claims))
    signature = hmac.new(secret.encode(), message.encode(), hashlib.sha256).digest()
    return f"{message}.{part(signature)}"
