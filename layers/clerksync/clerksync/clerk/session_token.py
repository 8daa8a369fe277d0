"""Clerk session tokens: RS256 JWTs that live 60 seconds.

PyJWT and cryptography are imported when the first token is there to be verified: they
are a fifth of the cold start, and who comes without a token need not wait for them.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from clerksync.clerk.user import is_clerk_id
from clerksync.errors import (
    ClerkRequestError,
    ClerkUnavailableError,
    InvalidSettingError,
    NotAuthenticatedError,
)

_LEEWAY_SECONDS: Final = 5
_JWKS_TTL_SECONDS: Final = 3600
_JWKS_PAUSE_SECONDS: Final = 10
_REFUSED: Final = "Not authenticated: send a valid Clerk session token."
_UNREADABLE: Final = "not a JWT that can be read"
_NO_SESSION: Final = "missing sid: a JWT template's token, perhaps"
# The header's `cat`, as Clerk's JavaScript SDK checks it (@clerk/backend,
# jwtCategories.ts): tokens from before it have none.
_SESSION: Final = "cl_B7d4PD111AAA"
_ANY: Final = "cl_I7d4PD111III"
"""Some instances write this into tokens of every category."""
_CATEGORIES: Final = {
    "cl_B7d4PD222AAA": "a JWT template's token",
    "cl_B7d4PD333AAA": "a machine's token",
}
# By the names of PyJWT's exceptions, which is not imported yet.
_FAULTS: Final = {
    "ExpiredSignatureError": "expired",
    "ImmatureSignatureError": "not yet valid: a clock may be wrong",
    "InvalidIssuerError": "wrong issuer: not the one of CLERK_PUBLISHABLE_KEY or "
    "CLERK_ISSUER",
    "InvalidSignatureError": "wrong signature: a different instance signed it, or "
    "CLERK_JWT_KEY is out of date",
    "InvalidSubjectError": "sub is not a text",
    "InvalidJTIError": "jti is not a text",
    "InvalidIssuedAtError": "iat is not a time",
}

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

FetchJwks = Callable[[str], Mapping[str, Any]]


class SessionVerifier:
    """Verifies session tokens, keeping the keys it fetched for an hour.

    `fetch_jwks` gets the URL of a JSON Web Key Set and gives the set. An unknown key
    id is looked up anew, but not more often than every 10 seconds: strangers can
    invent key ids.
    """

    def __init__(self, fetch_jwks: FetchJwks) -> None:
        self._fetch_jwks = fetch_jwks
        self._keys: dict[str, RSAPublicKey] = {}
        self._fetched: tuple[str, float] | None = None
        self._asked_at = -float("inf")

    def verify(
        self,
        token: str,
        *,
        pem: str | None,
        jwks_url: str,
        issuer: str | None,
        authorized_parties: frozenset[str],
    ) -> str:
        """The Clerk id of the user whose session this is.

        `pem` is the instance's public key; without it the key set decides. Raises
        NotAuthenticatedError, InvalidSettingError for a PEM that is none, and whatever
        fetching the JWKS raises.
        """
        if token.count(".") != 2:
            raise _refusal("not a JWT: an API key or a machine's token, perhaps")
        import jwt  # noqa: PLC0415 - see above

        try:
            header = jwt.get_unverified_header(token)
            _check_header(header)
            key = public_key(pem) if pem else self._key(header, jwks_url)
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                issuer=issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "sub", "sid", "iss"], "verify_aud": False},
            )
        except jwt.PyJWTError as error:
            raise _refusal(_fault(error)) from None
        except (ValueError, AttributeError, RecursionError):
            raise _refusal(_UNREADABLE) from None
        _check_claims(claims, authorized_parties)
        return str(claims["sub"])

    def _key(self, header: Mapping[str, Any], jwks_url: str) -> "RSAPublicKey":
        kid = str(header.get("kid"))
        age = float("inf")
        if self._fetched is not None and self._fetched[0] == jwks_url:
            age = time.monotonic() - self._fetched[1]
        has_keys, unknown = age < float("inf"), kid not in self._keys
        # Counted from the asking: while Clerk is silent, the pause holds all the more.
        pausing = time.monotonic() - self._asked_at < _JWKS_PAUSE_SECONDS
        if not (has_keys and pausing) and (unknown or age > _JWKS_TTL_SECONDS):
            self._asked_at = time.monotonic()
            try:
                self._keys = rsa_keys(self._fetch_jwks(jwks_url))
            except (ClerkUnavailableError, ClerkRequestError):
                # Keys live for years: an old one is better than nobody signed in.
                if unknown or not has_keys:
                    raise
            self._fetched = jwks_url, time.monotonic()
        if kid not in self._keys:
            raise _refusal("unknown key ID: a different instance signed it")
        return self._keys[kid]


def find_token(headers: Mapping[str, str], cookies: Mapping[str, str]) -> str:
    """The bearer token, else the `__session` cookie. Raises NotAuthenticatedError."""
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    if cookies.get("__session"):
        return cookies["__session"]
    if any(name.startswith("__session_") for name in cookies):
        raise _refusal("no __session cookie, only one with a suffix")
    if headers.get("authorization", "").strip():
        raise _refusal("no bearer token in the Authorization header, and no cookie")
    raise _refusal("no token: neither an Authorization header nor a __session cookie")


def key_id(token: str) -> str | None:
    """Return the ID of the key that a verified token is signed with."""
    import jwt  # noqa: PLC0415 - see above

    return jwt.get_unverified_header(token).get("kid")


def _refusal(why: str) -> NotAuthenticatedError:
    return NotAuthenticatedError(_REFUSED, why=why)


def _check_header(header: Mapping[str, Any]) -> None:
    if header.get("alg") != "RS256":
        raise _refusal("wrong algorithm: not RS256")
    # OAuth access tokens say at+jwt; Clerk's session tokens JWT.
    if header.get("typ", "JWT").upper() != "JWT":
        raise _refusal("wrong type: an OAuth token, perhaps")
    category = header.get("cat", _SESSION)
    if category not in (_SESSION, _ANY):
        what = _CATEGORIES.get(category) if isinstance(category, str) else None
        raise _refusal(f"wrong category: {what or 'not a session token'}")


def _check_claims(claims: Mapping[str, Any], parties: frozenset[str]) -> None:
    azp = claims.get("azp")
    if not is_clerk_id(claims["sub"]):  # mch_… is a machine
        raise _refusal("sub is not a user: a machine's token, perhaps")
    if not isinstance(claims["sid"], str) or not claims["sid"]:
        raise _refusal(_NO_SESSION)
    if claims.get("sts") == "pending":
        raise _refusal("pending: the user has tasks left before signing in")
    if parties and not isinstance(azp, str):
        raise _refusal("no azp, and CLERK_AUTHORIZED_PARTIES is set")
    if parties and azp not in parties:
        raise _refusal("azp is not one of CLERK_AUTHORIZED_PARTIES")


def _fault(error: Exception) -> str:
    """What PyJWT found, without what the token says."""
    kind = type(error).__name__
    if kind == "MissingRequiredClaimError":
        claim: str = error.claim  # type: ignore[attr-defined] # of that very class
        return _NO_SESSION if claim == "sid" else f"missing claim: {claim}"
    return _FAULTS.get(kind, _UNREADABLE)


@lru_cache(maxsize=4)
def public_key(pem: str) -> "RSAPublicKey":
    """Raises InvalidSettingError for anything but an RSA public key."""
    from cryptography.hazmat.primitives.asymmetric.rsa import (  # noqa: PLC0415 - see above
        RSAPublicKey,
    )
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see above
        load_pem_public_key,
    )

    try:
        key = load_pem_public_key(pem.encode())
    except ValueError:
        key = None
    if not isinstance(key, RSAPublicKey):
        message = "CLERK_JWT_KEY is not an RSA public key in PEM form."
        raise InvalidSettingError(message)
    return key


def rsa_keys(jwks: Mapping[str, Any]) -> dict[str, "RSAPublicKey"]:
    """The keys of a JSON Web Key Set by their ids."""
    from jwt import PyJWK, PyJWTError  # noqa: PLC0415 - see above

    keys = {}
    for entry in jwks.get("keys") or ():
        if isinstance(entry, dict) and entry.get("kty") == "RSA" and "kid" in entry:
            # One that cannot be read must not hide the others.
            with suppress(PyJWTError, ValueError):
                keys[str(entry["kid"])] = PyJWK(entry, algorithm="RS256").key
    return keys
