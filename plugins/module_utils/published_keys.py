"""The keys that every ClearML server has when nobody gives it others.

They are public: they stand in the default configuration of the clearml-server repository
(apiserver and fileserver, config/default/secure.conf). Whoever knows them owns a server that still accepts them,
so the platform's checks try them and expect to be refused. They must be of use nowhere.
"""

# Runs on the host, with nothing but its Python (3.9 or newer) and the standard library.
from __future__ import annotations

# secure.credentials.<name>: user_key and user_secret.
KEY_PAIRS = {
    "apiserver": (
        "62T8CP7HGBC6647XF9314C2VY67RJO",
        "gaOfhDX2-bpkeI7-cwEcaMuGijxaG2UG3jbIvg4DxmVGF0LNI7rgvCb1-ne38IlBo1w",
    ),
    "fileserver": (
        "GSQWPEKSKNKF354LC9V6BHXKTYFD5I",
        "tuBXcGQBECsEhcNiK2kiWi750z9r8Z85XrQ9V0c24huTuCb2xf2X1nKG",
    ),
    "webserver": (
        "EYVQ385RW7Y2QQUH88CZ7DWIQ1WUHP",
        "XhkH6a6ds9JBnM_MrahYyYdO-wS2bqFSm8gl-V0UZXH26Ydd6Eyi28TeBEoSr6Z3Bes",
    ),
    "tests": (
        "EGRTCO8JMSIGI6S39GTP43NFWXDQOW",
        "LPEJbGJ6bK4tujQcmrD3i1dbMBDdwUwelVa-LG0K0FFmY9bzH_H0Sw",
    ),
    # Role admin. Releases before 1.16 had it; many guides still tell to set it.
    "services_agent": (
        "P4BMJA7RK3TKBXGSY8OAA1FA8TOD11",
        "9LsgSfa0SYz0zli1_c500ZcLqanre2xkWOpepyt1w-BKK3_DKPHrtoj3JSHvyy8bIi0",
    ),
}

# secure.auth.token_secret: signs tokens, so whoever has it can be anybody.
TOKEN_SECRET = "Rq8FW84sSqVgq7WvBB_4EzNl9y8z8IGiDXX3C345_a5AZfcwZcwCIA"  # noqa: S105 -- public, see above

# secure.http.session_secret.apiserver: cannot be tried from outside; here for those who search files for it.
SESSION_SECRET = "V8gcW3EneNDcNfO7G_TSUsWe7uLozyacc9_I33o7bxUo8rCN31VLRg"  # noqa: S105 -- public, see above

# The id of the one company that an open-source server has.
COMPANY = "d1bd92a3b039400cbafc60a7a5b1e52b"
