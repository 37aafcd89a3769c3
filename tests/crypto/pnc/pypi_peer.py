"""PyPI `iso15118` asked by lines of JSON, run in that package's own venv: what it signs, checks, wraps and opens.

python pypi_peer.py     {"do": name, ...} → {"answer": ...} or {"error": text}; bytes are hexadecimal digits
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from iso15118.shared.exi_codec import EXI
from iso15118.shared.exificient_exi_codec import ExificientEXICodec
from iso15118.shared.messages.enums import Namespace
from iso15118.shared.messages.iso15118_2.body import AuthorizationReq, Body, CertificateInstallationReq
from iso15118.shared.messages.iso15118_2.datatypes import RootCertificateIDList
from iso15118.shared.messages.iso15118_2.header import MessageHeader
from iso15118.shared.messages.iso15118_2.msgdef import V2GMessage
from iso15118.shared.messages.iso15118_20 import common_messages as common
from iso15118.shared.messages.iso15118_20.common_types import MessageHeader as Header20
from iso15118.shared.messages.xmldsig import X509IssuerSerial
from iso15118.shared.security import (
    create_signature,
    decrypt_priv_key,
    encrypt_priv_key,
    to_ec_pub_key,
    verify_signature,
)
from iso15118.shared.settings import SettingKey, shared_settings

V2 = Namespace.ISO_V2_MSG_DEF
V20 = Namespace.ISO_V20_COMMON_MSG


def key_of(pem: str) -> Any:
    return load_pem_private_key(pem.encode(), None)


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


def fragments(*elements: Any, namespace: str = V2) -> list[tuple[str, bytes]]:
    return [(one.id, EXI().to_exi(one, namespace)) for one in elements]


def message_2(signature: Any, **body: Any) -> str:
    message = V2GMessage(header=MessageHeader(session_id="00" * 8, signature=signature), body=Body(**body))
    return EXI().to_exi(message, V2).hex()


def sign_authorization(key: str, challenge: str) -> str:
    request = AuthorizationReq(id="id1", gen_challenge=raw(challenge))
    return message_2(create_signature(fragments(request), key_of(key)), authorization_req=request)


def sign_installation(key: str, certificate: str) -> str:
    roots = RootCertificateIDList(x509_issuer_serials=[X509IssuerSerial(x509_issuer_name="CN=R", x509_serial_number=1)])
    request = CertificateInstallationReq(id="id1", oem_provisioning_cert=raw(certificate), list_of_root_cert_ids=roots)
    return message_2(create_signature(fragments(request), key_of(key)), certificate_installation_req=request)


def verify(exi: str, leaf: str) -> bool:
    """AuthorizationReq or CertificateInstallationReq."""
    message = EXI().from_exi(raw(exi), V2)
    body = message.body
    request = body.authorization_req or body.certificate_installation_req or body.metering_receipt_req
    return verify_signature(message.header.signature, fragments(request), raw(leaf))


def verify_answer(exi: str, parts: list[str]) -> bool:
    """CertificateInstallationRes by its signer, over the parts that are named."""
    message = EXI().from_exi(raw(exi), V2)
    body = message.body.certificate_installation_res
    chain = body.cps_cert_chain
    signed = fragments(*(getattr(body, part) for part in parts))
    return verify_signature(message.header.signature, signed, chain.certificate)


def open_answer(exi: str, key: str) -> str:
    body = EXI().from_exi(raw(exi), V2).body.certificate_installation_res
    wrapped, public = body.encrypted_private_key.value, to_ec_pub_key(body.dh_public_key.value)
    return decrypt_priv_key(wrapped, key_of(key), public).hex()


def wrap(certificate: str, key: str) -> list[str]:
    public, data = encrypt_priv_key(raw(certificate), key_of(key))
    return [public.hex(), data.hex()]


def unwrap(key: str, public: str, data: str) -> str:
    return decrypt_priv_key(raw(data), key_of(key), to_ec_pub_key(raw(public))).hex()


def sign_authorization_20(key: str, challenge: str, chain: list[str]) -> str:
    subs = common.SubCertificates(certificates=[raw(one) for one in chain[1:]])
    contract = common.ContractCertificateChain(certificate=raw(chain[0]), sub_certificates=subs)
    part = common.PnCAuthReqParams(gen_challenge=raw(challenge), contract_cert_chain=contract, id="id1")
    signature = create_signature(fragments(part, namespace=V20), key_of(key))
    header = Header20(session_id="00" * 8, timestamp=1, signature=signature)
    request = common.AuthorizationReq(header=header, selected_auth_service="PnC", pnc_params=part)
    return EXI().to_exi(request, V20).hex()


def verify_20(exi: str, leaf: str) -> bool:
    request = EXI().from_exi(raw(exi), V20)
    return verify_signature(request.header.signature, fragments(request.pnc_params, namespace=V20), raw(leaf))


def fragment_of(exi: str, part: str) -> str:
    body = EXI().from_exi(raw(exi), V2).body.certificate_installation_res
    return EXI().to_exi(getattr(body, part), V2).hex()


def main() -> None:
    logging.disable(logging.CRITICAL)
    shared_settings.update({SettingKey.MESSAGE_LOG_JSON: False, SettingKey.MESSAGE_LOG_EXI: False})
    EXI().set_exi_codec(ExificientEXICodec())
    doers = {
        name: one for name, one in globals().items() if callable(one) and getattr(one, "__module__", "") == "__main__"
    }
    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"answer": doers[asked.pop("do")](**asked)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:2000]}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
