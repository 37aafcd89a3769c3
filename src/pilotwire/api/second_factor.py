"""The second factor: codes of an authenticator (TOTP, RFC 6238: SHA-1, 6 digits, 30 s) and recovery codes.

The authenticator's secret is kept locked, recovery codes as macs. A code is good once: the step that it was made for
is remembered, in the same conditional write that lets it in, so that not even two processes take it twice.
"""

from __future__ import annotations

import hmac
import secrets

import msgspec

from pilotwire.crypto.vault import Vault
from pilotwire.storage.documents import Conflict, Delete, Kept, put, unpack

from .context import ApiContext

KIND = "second-factor"
_PURPOSE = "second factor"
STEP_S = 30
_WINDOW = (0, -1, 1)
"""Steps around now that are taken: clocks differ, people type slowly (RFC 6238, 5.2)."""
_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_CODE_LENGTH = 10


class Factor(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a person's second factor."""

    secret: str
    """Locked."""
    confirmed: bool = False
    step: int = 0
    """The newest step whose code was taken."""
    recovery: list[str] = []
    """Macs of those that are left."""
    made_at: int = 0


def vault_of(context: ApiContext) -> Vault:
    """The installation's vault."""
    parts = context.parts
    if Vault not in parts:
        parts[Vault] = Vault(context.secret)
    return parts[Vault]


async def factor_of(context: ApiContext, tenant: str, name: str) -> Kept[Factor] | None:
    """A person's second factor, confirmed or not."""
    found = await context.store.document(tenant, KIND, name)
    return unpack(found, Factor) if found else None


async def is_on(context: ApiContext, tenant: str, name: str) -> bool:
    """Whether logging in takes a code."""
    found = await factor_of(context, tenant, name)
    return found is not None and found.value.confirmed


async def those_on(context: ApiContext, tenant: str) -> set[str]:
    """The names of those whose login takes a code."""
    names: set[str] = set()
    cursor: str | None = None
    while True:
        page = await context.store.documents(tenant, KIND, cursor=cursor, limit=500)
        names |= {one.id for one in page.items if unpack(one, Factor).value.confirmed}
        cursor = page.next
        if cursor is None:
            return names


async def begin(context: ApiContext, tenant: str, name: str) -> str:
    """A new secret (base32), not confirmed yet; one that counts goes on counting until then."""
    import pyotp

    secret = pyotp.random_base32(32)
    draft = Factor(secret=vault_of(context).lock(_PURPOSE, secret), made_at=context.scheduler.now())
    await context.store.write_documents(tenant, [put(KIND, _draft(name), draft)])
    return secret


def _draft(name: str) -> str:
    """Where a secret waits for its first code. A name has no space, so this is nobody's."""
    return f"{name} new"


async def confirm(context: ApiContext, tenant: str, name: str, code: str) -> list[str] | None:
    """Make the new secret count, if the code was made with it. Returns the recovery codes; None for a wrong code."""
    draft = await factor_of(context, tenant, _draft(name))
    if draft is None:
        return None
    step = _step_of(context, draft.value, code)
    if step is None:
        return None
    codes, macs = _new_codes(context, tenant, name)
    factor = Factor(
        secret=draft.value.secret, confirmed=True, step=step, recovery=macs, made_at=context.scheduler.now()
    )
    await context.store.write_documents(tenant, [put(KIND, name, factor), Delete(KIND, _draft(name), draft.version)])
    return codes


async def check(context: ApiContext, tenant: str, name: str, code: str) -> str:
    """Take a code: "code" or "recovery" when it was right, "" when not, was used before or is too old."""
    kept = await factor_of(context, tenant, name)
    if kept is None or not kept.value.confirmed:
        return ""
    factor = kept.value
    plain = "".join(one for one in code.casefold() if one.isalnum())
    step = _step_of(context, factor, plain)
    if step is not None:
        factor.step, how = step, "code"
    elif (mac := _mac(context, tenant, name, plain)) in factor.recovery:
        factor.recovery.remove(mac)
        how = "recovery"
    else:
        return ""
    try:
        await context.store.write_documents(tenant, [put(KIND, name, factor, expected=kept.version)])
    except Conflict:  # somebody used one at the same moment
        return ""
    return how


async def renew_codes(context: ApiContext, tenant: str, name: str) -> list[str] | None:
    """New recovery codes in place of all before; None where there is no second factor."""
    kept = await factor_of(context, tenant, name)
    if kept is None or not kept.value.confirmed:
        return None
    codes, kept.value.recovery = _new_codes(context, tenant, name)
    await context.store.write_documents(tenant, [put(KIND, name, kept.value, expected=kept.version)])
    return codes


async def remove(context: ApiContext, tenant: str, name: str) -> bool:
    """Forget it; True when there was one."""
    there = await is_on(context, tenant, name)
    await context.store.write_documents(tenant, [Delete(KIND, name), Delete(KIND, _draft(name))])
    return there


def uri_of(name: str, tenant: str, secret: str) -> str:
    """What an authenticator reads from a QR code."""
    from pyotp.totp import TOTP

    issuer = "Pilotwire" if tenant == "default" else f"Pilotwire {tenant}"
    return TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def qr_of(uri: str) -> str:
    """The QR code of a text as SVG, without styles or scripts, sharp at any size."""
    import io

    import segno

    out = io.BytesIO()
    segno.make(uri, error="m").save(
        out, kind="svg", border=4, dark="#000", light="#fff", xmldecl=False, omitsize=True, svgclass="qr",
        lineclass=None, title="QR code",
    )  # fmt: skip
    return out.getvalue().decode().strip()


def _step_of(context: ApiContext, factor: Factor, code: str) -> int | None:
    """The step that a code was made for, if it is near and newer than all that were taken."""
    from pyotp.totp import TOTP

    if len(code) != 6 or not (code.isascii() and code.isdigit()):
        return None
    totp = TOTP(vault_of(context).open(_PURPOSE, factor.secret))
    now = context.scheduler.now() // (STEP_S * 1000)
    for offset in _WINDOW:
        step = now + offset
        if step > factor.step and hmac.compare_digest(totp.generate_otp(step), code):
            return step
    return None


def _mac(context: ApiContext, tenant: str, name: str, code: str) -> str:
    return vault_of(context).mac("recovery code", f"{tenant}\0{name}\0{code}")


def _new_codes(context: ApiContext, tenant: str, name: str) -> tuple[list[str], list[str]]:
    codes = ["".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH)) for _ in range(_CODES)]
    shown = [f"{code[:5]}-{code[5:]}" for code in codes]
    return shown, [_mac(context, tenant, name, code) for code in codes]
