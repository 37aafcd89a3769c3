"""OpenID Connect, the relying party's side: authorization code with PKCE, state and nonce (OpenID Connect Core 1.0,
3.1; RFC 7636; RFC 9207), discovery, and keys that are read again when the provider has changed them.

Whatever the provider does wrong, or is down, becomes a Problem 502 `provider-failed` that says what.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from .context import ApiContext
from .problems import Problem, problem

DISCOVERY_MS = 3_600_000
KEYS_MS = 3_600_000
KEYS_AGAIN_MS = 10_000
"""A key that is not known is looked for at the provider at most so often."""
LEEWAY_S = 60
"""How far the provider's clock may be from ours."""
MAX_AGE_S = 600
"""An ID token was issued for this login, so not long ago."""
TIMEOUT_S = 10.0
_MAX_ANSWER = 1 << 20
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a provider's private key alone: neither none nor one with a shared secret."""


class Metadata(msgspec.Struct):
    """What a provider says of itself (OpenID Connect Discovery 1.0, 3), as far as it is needed here."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    id_token_signing_alg_values_supported: list[str] = []
    token_endpoint_auth_methods_supported: list[str] = msgspec.field(default_factory=lambda: ["client_secret_basic"])
    authorization_response_iss_parameter_supported: bool = False


class Client(msgspec.Struct, frozen=True):
    """Who we are to a provider."""

    issuer: str
    client_id: str
    client_secret: str
    """Empty: a public client."""
    redirect_uri: str
    scopes: tuple[str, ...] = ("openid",)


class Attempt(msgspec.Struct, kw_only=True):
    """A login under way: what has to come back, kept until it does."""

    state: str
    nonce: str
    verifier: str
    """PKCE's code_verifier."""
    tenant: str
    next: str
    expires_at: int


class Identity(msgspec.Struct, frozen=True):
    """Somebody whom a provider vouches for."""

    subject: str
    claims: dict[str, Any]
    id_token: str


class _Keys(msgspec.Struct):
    at: int
    keys: dict[str, Any]


def failed(detail: str) -> Problem:
    """502 that says what the provider did."""
    return problem("provider-failed", detail)


def allowed_url(url: str) -> bool:
    """Over HTTPS, or to this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.username is not None or not host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in ("localhost", "127.0.0.1", "::1"))


def new_attempt(tenant: str, next: str, expires_at: int) -> Attempt:
    """256 random bits each."""
    return Attempt(
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        tenant=tenant,
        next=next,
        expires_at=expires_at,
    )


class Provider:
    """One provider, with what it has said of itself and its keys, kept for an hour."""

    def __init__(self, context: ApiContext, issuer: str) -> None:
        self._now = context.scheduler.now
        self.issuer = issuer
        self._metadata: tuple[int, Metadata] | None = None
        self._keys: _Keys | None = None

    # -- what it says of itself ---------------------------------------------------------------------------------------
    async def metadata(self) -> Metadata:
        """Raises Problem 502."""
        now = self._now()
        if self._metadata is not None and 0 <= now - self._metadata[0] < DISCOVERY_MS:
            return self._metadata[1]
        url = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
        try:
            found = msgspec.convert(await self._json("GET", url), Metadata)
        except msgspec.ValidationError as error:
            raise failed(f"What {self.issuer} says of itself cannot be used: {error}.") from None
        if found.issuer.rstrip("/") != self.issuer.rstrip("/"):
            raise failed(f"{self.issuer} calls itself {found.issuer[:200]!r}: enter that as its issuer.")
        for name in (
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "userinfo_endpoint",
            "end_session_endpoint",
        ):
            address = getattr(found, name)
            if address and not allowed_url(address):
                raise failed(f"The {name} of {self.issuer} is {address[:200]!r}, which is not safe to use.")
        self._metadata = (now, found)
        return found

    async def _json(self, method: str, url: str, **extra: Any) -> Any:
        import httpx

        try:
            async with (
                httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
                client.stream(method, url, **extra) as answer,
            ):
                body = bytearray()
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > _MAX_ANSWER:
                        raise failed(f"{self.issuer} answers with more than can be read.")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = "does not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
            raise failed(f"The login provider {self.issuer} {why}.") from None
        if answer.status_code != 200:
            raise failed(f"The login provider {self.issuer} answers {answer.status_code}{_said(body)}.")
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError:
            raise failed(f"{url[:200]} does not answer with JSON.") from None

    # -- the way there ------------------------------------------------------------------------------------------------
    async def authorization_url(self, client: Client, attempt: Attempt) -> str:
        """Where to send the browser. Raises Problem 502."""
        found = await self.metadata()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uri,
            "scope": " ".join(dict.fromkeys(("openid", *client.scopes))),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in found.authorization_endpoint else "?"
        return f"{found.authorization_endpoint}{joint}{urlencode(query)}"

    # -- the way back -------------------------------------------------------------------------------------------------
    async def identity(self, client: Client, attempt: Attempt, code: str, iss: str) -> Identity:
        """Who has logged in there. Raises Problem 502."""
        found = await self.metadata()
        if (iss or found.authorization_response_iss_parameter_supported) and iss != found.issuer:
            raise failed("The answer came from another provider than the one that was asked.")
        tokens = await self._redeem(found, client, attempt, code)
        id_token = tokens.get("id_token")
        if not isinstance(id_token, str):
            raise failed(f"{self.issuer} gave no ID token.")
        claims = await self._claims(found, client, attempt.nonce, id_token)
        subject = str(claims["sub"])
        access_token = tokens.get("access_token")
        if found.userinfo_endpoint and isinstance(access_token, str):
            header = {"Authorization": f"Bearer {access_token}"}
            more = await self._json("GET", found.userinfo_endpoint, headers=header)
            # Core 5.3.2: an answer for somebody else must not be used.
            if not isinstance(more, dict) or more.get("sub") != subject:
                raise failed(f"{self.issuer} tells of somebody else than of who has logged in.")
            claims = {**more, **claims}
        return Identity(subject, claims, id_token)

    async def _redeem(self, found: Metadata, client: Client, attempt: Attempt, code: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        extra: dict[str, Any] = {"data": form, "headers": {"Accept": "application/json"}}
        if not client.client_secret:
            form["client_id"] = client.client_id
        elif "client_secret_basic" in found.token_endpoint_auth_methods_supported:
            from urllib.parse import quote

            # RFC 6749, 2.3.1: both are form-encoded before they are put together.
            extra["auth"] = (quote(client.client_id, safe=""), quote(client.client_secret, safe=""))
        else:
            form |= {"client_id": client.client_id, "client_secret": client.client_secret}
        tokens = await self._json("POST", found.token_endpoint, **extra)
        if not isinstance(tokens, dict):
            raise failed(f"{self.issuer} answers with something else than tokens.")
        return tokens

    async def _claims(self, found: Metadata, client: Client, nonce: str, id_token: str) -> dict[str, Any]:
        """The claims of an ID token that is signed, ours, fresh and for this very login (Core 3.1.3.7)."""
        import jwt

        allowed = [one for one in found.id_token_signing_alg_values_supported if one in _ALGORITHMS] or ["RS256"]
        try:
            header = jwt.get_unverified_header(id_token)
            if header.get("alg") not in allowed:
                raise failed(
                    f"The ID token of {self.issuer} is signed by {str(header.get('alg'))[:20]}, which is not taken."
                )
            key = await self._key(found, header)
            # Times are looked at below, by the injected clock.
            claims: dict[str, Any] = jwt.decode(
                id_token,
                key,
                algorithms=allowed,
                audience=client.client_id,
                issuer=found.issuer,
                options={
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "require": ["sub", "exp", "iat"],
                },
            )
        except jwt.PyJWTError as error:
            raise failed(f"The ID token of {self.issuer} cannot be believed: {error}.") from None
        now = self._now() // 1000
        expires, issued = claims["exp"], claims["iat"]
        if not all(isinstance(one, int | float) for one in (expires, issued, claims.get("nbf", 0))):
            raise failed(f"The ID token of {self.issuer} has times that are none.")
        if expires + LEEWAY_S <= now:
            raise failed(f"The ID token of {self.issuer} has expired: does one of the clocks go wrong?")
        if issued - LEEWAY_S > now or claims.get("nbf", 0) - LEEWAY_S > now:
            raise failed(f"The ID token of {self.issuer} is from the future: does one of the clocks go wrong?")
        if issued + MAX_AGE_S + LEEWAY_S < now:
            raise failed(f"The ID token of {self.issuer} was issued long ago.")
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise failed(f"The ID token of {self.issuer} was made for another login.")
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != client.client_id:
            raise failed(f"The ID token of {self.issuer} was made for another program.")
        return claims

    async def _key(self, found: Metadata, header: dict[str, Any]) -> Any:
        """The key that a token names; a provider that has changed its keys is asked again."""
        now = self._now()
        if self._keys is None or not 0 <= now - self._keys.at < KEYS_MS:
            await self._read_keys(found, now)
        key = self._find(header)
        if key is None and self._keys is not None and now - self._keys.at >= KEYS_AGAIN_MS:
            await self._read_keys(found, now)
            key = self._find(header)
        if key is None:
            raise failed(f"The ID token of {self.issuer} is signed with a key that the provider does not name.")
        return key

    def _find(self, header: dict[str, Any]) -> Any:
        assert self._keys is not None
        name = header.get("kid")
        if name is None:  # allowed where there is one key alone (Core 10.1)
            return next(iter(self._keys.keys.values())) if len(self._keys.keys) == 1 else None
        return self._keys.keys.get(str(name))

    async def _read_keys(self, found: Metadata, now: int) -> None:
        import jwt

        document = await self._json("GET", found.jwks_uri)
        listed = document.get("keys") if isinstance(document, dict) else None
        keys: dict[str, Any] = {}
        for number, one in enumerate(listed if isinstance(listed, list) else []):
            if not isinstance(one, dict) or one.get("use", "sig") != "sig" or one.get("kty") == "oct":
                continue
            try:
                keys[str(one.get("kid", f"#{number}"))] = jwt.PyJWK.from_dict(one)
            except jwt.PyJWTError:  # of a kind that we do not know: a token signed with it will say so
                continue
        if not keys:
            raise failed(f"{self.issuer} names no key that can be used.")
        self._keys = _Keys(now, keys)

    # -- the way out --------------------------------------------------------------------------------------------------
    async def logout_url(self, client: Client, id_token: str, back: str) -> str:
        """Where to log out there too (RP-Initiated Logout 1.0); "" where the provider has no such place."""
        found = await self.metadata()
        if not found.end_session_endpoint:
            return ""
        query = {"id_token_hint": id_token, "client_id": client.client_id, "post_logout_redirect_uri": back}
        joint = "&" if "?" in found.end_session_endpoint else "?"
        return f"{found.end_session_endpoint}{joint}{urlencode(query)}"


def provider_of(context: ApiContext, issuer: str) -> Provider:
    """The one `Provider` of an issuer."""
    kept: dict[str, Provider] = context.parts.setdefault(Provider, {})
    if issuer not in kept:
        if len(kept) >= 1_000:
            kept.pop(next(iter(kept)))
        kept[issuer] = Provider(context, issuer)
    return kept[issuer]


def claim(claims: dict[str, Any], path: str) -> Any:
    """A claim by its name, or by names with dots between that lead into objects; None where it is not."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def texts(value: Any) -> list[str]:
    """A claim that is a text or a list of texts, as a list."""
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _said(body: bytes | bytearray) -> str:
    """OAuth's own words for an error (RFC 6749, 5.2), cut to a length; nothing of what else stands there."""
    try:
        told = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return ""
    if not isinstance(told, dict):
        return ""
    words = [str(told[name]) for name in ("error", "error_description") if isinstance(told.get(name), str)]
    text = ": ".join(words)[:200]
    return f" ({text})" if text and text.isprintable() else ""
