"""Plug & Charge at the SECC of ISO 15118-2: certificates installed and updated, contracts checked, readings confirmed.

Functions over `Iso2Secc`, each a handler of a request. Nothing here is reached without TLS: the payment option is
not offered, and so PaymentServiceSelectionReq is refused that chooses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from pilotwire.core.evse_link import Certificate, CertificateAsked, Identified, ReceiptSigned
from pilotwire.protocols.exi.codec import Message, decode
from pilotwire.protocols.exi.errors import DecodeError

from ..pnc import RESPONSES, SeccPnc, chain_of, check_signed
from ..signature import Part, SignatureError, sign
from .timers import LIMITS

if TYPE_CHECKING:
    from ..exchange_secc import Secc
    from .secc import Iso2Secc

CERTIFICATE: Final = "V2G_SECC_Msg_Performance_Time_Certificate"
NAMESPACE: Final = "urn:iso:15118:2:2013:MsgDef"
# Whether the provisioning certificate is to be trusted is for who issues contracts; these two nobody can overrule.
_BAD_PROVISIONING: Final = ("expired", "revoked")

# pyright: reportPrivateUsage=false


def install(secc: Iso2Secc, body: Message, now: int) -> None:
    """CertificateInstallationReq."""
    leaf = cast(bytes, body["OEMProvisioningCert"])
    if _signed(secc, "CertificateInstallationReq", body, leaf, "FAILED_SignatureError", "installation", now):
        verdict = _pnc(secc).provisioning("iso2", (leaf,), now)
        if verdict.code in _BAD_PROVISIONING:
            code = RESPONSES["iso2"][verdict.code]
            secc._fail("CertificateInstallationReq", code, verdict.text or verdict.code, "installation", now)
        else:
            _ask(secc, "install", "CertificateInstallationReq", now)


def update(secc: Iso2Secc, body: Message, now: int) -> None:
    """CertificateUpdateReq."""
    chain = chain_of(body["ContractSignatureCertChain"])
    if _signed(secc, "CertificateUpdateReq", body, chain[0], "FAILED_SignatureError", "update", now):
        verdict = _pnc(secc).contract("iso2", chain, body["eMAID"], now)
        if not verdict.ok:
            code = RESPONSES["iso2"][verdict.code]
            secc._fail("CertificateUpdateReq", code, verdict.text or verdict.code, "update", now)
        else:
            _ask(secc, "update", "CertificateUpdateReq", now)


def _ask(secc: Iso2Secc, action: Any, request: str, now: int) -> None:
    secc._held = request
    secc._due[CERTIFICATE] = now + LIMITS[CERTIFICATE]
    secc._effects.append(CertificateAsked(action=action, schema=NAMESPACE, exi=secc._payload))


def came(secc: Iso2Secc, command: Certificate, now: int) -> None:
    """The answer of who issues contracts: its body and signature go on, under our session."""
    request = secc._held
    if request not in ("CertificateInstallationReq", "CertificateUpdateReq"):
        return
    secc._due.pop(CERTIFICATE, None)
    name = request[:-3] + "Res"
    try:
        message = decode("iso2", command.exi)["V2G_Message"]
        body, signature = message["Body"][name], message["Header"].get("Signature")
    except (DecodeError, KeyError) as error:
        why = "there is none" if not command.exi else f"what came is no {name}: {error}"
        _none(secc, request, f"no contract certificate: {why}", now)
        return
    secc._held = None
    if not str(body["ResponseCode"]).startswith("OK"):
        secc._fail(request, body["ResponseCode"], "refused by who issues contracts", "installation", now, by="evse")
        return
    secc._answer(name, body, now, "PaymentDetails", signature)


def nothing_came(secc: Iso2Secc, now: int) -> None:
    """It took longer than the vehicle waits."""
    if secc._held is not None:
        _none(secc, secc._held, f"no contract certificate came within {LIMITS[CERTIFICATE]} ms", now)


def _none(secc: Iso2Secc, request: str, text: str, now: int) -> None:
    secc._fail(request, "FAILED_NoCertificateAvailable", text, "installation", now, by="evse")


def details(secc: Iso2Secc, body: Message, now: int) -> None:
    """PaymentDetailsReq: the contract is looked at; whose it is, AuthorizationReq will show."""
    chain = chain_of(body["ContractSignatureCertChain"])
    verdict = _pnc(secc).contract("iso2", chain, body["eMAID"], now)
    code = RESPONSES["iso2"][verdict.code]
    if not verdict.ok:
        text = f"the contract's certificate: {verdict.text or verdict.code}"
        secc._fail("PaymentDetailsReq", code, text, "payment-details", now)
        return
    secc._chain, secc._emaid = chain, verdict.emaid or body["eMAID"]
    secc._challenge = secc._random(16)
    said = {"ResponseCode": code, "GenChallenge": secc._challenge, "EVSETimeStamp": now // 1000}
    secc._answer("PaymentDetailsRes", said, now, "Authorization")


def proven(secc: Iso2Secc, body: Message, now: int) -> bool:
    """Whether AuthorizationReq shows that the contract is the vehicle's; else it has been refused.

    What was shown once is not asked for again while the answer is Ongoing.
    """
    request = "AuthorizationReq"
    challenge = body.get("GenChallenge")
    if challenge != secc._challenge and not (secc._signed and challenge is None):
        text = "GenChallenge is not the one that was given"
        secc._fail(request, "FAILED_ChallengeInvalid", text, "authorization", now)
        return False
    if secc._signed:
        return True
    if not _signed(secc, request, body, secc._chain[0], "FAILED_SignatureError", "authorization", now):
        return False
    secc._signed = True
    name = secc._evccid.hex().upper()
    secc._effects.append(
        Identified(evccid=name, mac=name if len(secc._evccid) == 6 else "", emaid=secc._emaid, contract=secc._chain)
    )
    return True


def receipt(secc: Iso2Secc, body: Message, now: int) -> None:
    """MeteringReceiptReq: the reading that was told, confirmed by the contract's key."""
    request, code = "MeteringReceiptReq", "FAILED_MeteringSignatureNotValid"
    if body["SessionID"] != secc.session_id:
        secc._fail(request, code, "the receipt is of another session", "receipt", now)
        return
    if body["MeterInfo"] != secc._meter_said:
        secc._fail(request, code, "the receipt is not of the reading that was told", "receipt", now)
        return
    if not _signed(secc, request, body, secc._chain[0], code, "receipt", now):
        return
    signature = cast(Message, secc._header["Signature"])
    secc._effects.append(
        ReceiptSigned(energy_wh=body["MeterInfo"]["MeterReading"], signature=signature["SignatureValue"]["value"])
    )
    said: Message = {"ResponseCode": "OK", **secc._status("EVSE_Ready", now)}
    secc._answer("MeteringReceiptRes", said, now, "ChargeLoop" if secc._dc else "AcChargeLoop")


def sign_tariffs(secc: Secc, schedules: Message) -> Message | None:
    """The signature over the tariffs of a SAScheduleList, where the station has a key for that; a vehicle with a
    contract believes no others ([V2G2-909])."""
    key = _pnc(secc).signing("iso2")
    tariffs = [one["SalesTariff"] for one in schedules["SAScheduleTuple"] if "SalesTariff" in one]
    if key is None or not tariffs:
        return None
    for number, tariff in enumerate(tariffs, 1):
        tariff["Id"] = f"id{number}"
    parts = [Part("iso2", "SalesTariff", tariff) for tariff in tariffs]
    return sign(parts, key[0], lambda data: _pnc(secc).sign("iso2", data))


def _signed(secc: Iso2Secc, request: str, body: Message, leaf: bytes, code: str, clause: str, now: int) -> bool:
    try:
        check_signed(_pnc(secc), "iso2", request, body, secc._header.get("Signature"), leaf)
    except SignatureError as error:
        secc._fail(request, code, str(error), clause, now)
        return False
    return True


def _pnc(secc: Secc) -> SeccPnc:
    return cast(SeccPnc, secc._pnc)
