"""The cookies of logins. HttpOnly, SameSite=Lax (a link from elsewhere opens a page, a form from elsewhere does
nothing), and over HTTPS Secure with the `__Host-` prefix."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from litestar.datastructures import Cookie

from .access import COOKIE, SECURE_COOKIE
from .context import ApiConfig

PENDING = "pilotwire_pending"
TYPED = "pilotwire_typed"
OIDC = "pilotwire_oidc"
SAID = "pilotwire_said"
"""Why a login failed, for the page that is shown next."""
OUT = "pilotwire_out"
"""Where to log out at the provider, for the page that leads there."""


def is_secure(config: ApiConfig, scheme: str) -> bool:
    """Whether browsers reach us over HTTPS."""
    return config.secure_cookies or scheme == "https"


def login_name(secure: bool) -> str:
    """The name of the cookie that holds a login."""
    return SECURE_COOKIE if secure else COOKIE


def made(name: str, value: str, *, max_age: int, secure: bool) -> Cookie:
    """A cookie for the whole server; an empty value ends it."""
    return Cookie(key=name, value=value, max_age=max_age, path="/", httponly=True, samesite="lax", secure=secure)


def login(value: str, *, days: int, secure: bool) -> Cookie:
    """The cookie of a login; an empty value ends it."""
    return made(login_name(secure), value, max_age=days * 86_400 if value else 0, secure=secure)


def read(header: str, name: str) -> str:
    """A cookie's value in a Cookie header; "" where it is not."""
    try:
        morsel = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
