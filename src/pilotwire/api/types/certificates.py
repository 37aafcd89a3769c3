"""Certificates of stations, whom we trust, and who signs."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from .base import PRINTABLE, CommandAnswer, PageOf, Time

__all__ = [
    "AnchorUse",
    "CertificateAuthority",
    "CertificateAuthorityChange",
    "CertificateDeletion",
    "CertificateEnds",
    "CertificateInstallation",
    "CertificateRequest",
    "CertificateRequestPage",
    "EstChange",
    "EstServer",
    "HashData",
    "InstalledCertificate",
    "NewTrustAnchor",
    "Reason",
    "ShownCertificate",
    "ShownCertificatePage",
    "StationCertificates",
    "StationPasswordChange",
    "StationPasswordChanged",
    "TrustAnchor",
    "TrustAnchorPage",
]

_Pem = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=10_000,
        pattern=r"^[\x09\x0a\x0d\x20-\x7e]+$",
        description="A certificate in PEM",
        examples=["-----BEGIN CERTIFICATE-----\nMIIB...\n-----END CERTIFICATE-----\n"],
    ),
]
AnchorUse = Literal["csms", "v2g", "mo", "oem", "manufacturer", "station", "other"]
InstallUse = Literal["csms", "manufacturer", "v2g", "mo", "oem"]
RequestStatus = Literal["signing", "delivering", "delivered", "refused", "failed", "superseded"]
ReasonText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00]*\S[^\x00]*$",
        description="Why. It is kept in the audit log",
        examples=["the old root expires in May"],
    ),
]


class CertificateRequest(msgspec.Struct, kw_only=True):
    """A station's signing request and what became of it."""

    id: str
    station_id: str
    use: Annotated[str, Meta(examples=["ChargingStationCertificate"])]
    status: Annotated[
        RequestStatus,
        Meta(
            description="signing: the authority has it. delivering: on its way to the station. refused: the station "
            "did not take it. superseded: a newer request came"
        ),
    ]
    reason: Annotated[str, Meta(description="Why it is not delivered")]
    asked_at: Time
    changed_at: Time
    common_name: Annotated[str, Meta(description="CN", examples=["CP-1001"])]
    organization: Annotated[str, Meta(description="O")]
    key_kind: Annotated[str, Meta(examples=["EC secp256r1"])]
    authority: Annotated[
        str, Meta(description="Who signs: built-in, or the host of an EST server", examples=["built-in"])
    ]
    serial_number: Annotated[str, Meta(description="Of the certificate, hexadecimal", examples=["4fa21c09d3"])]
    not_before: Time | None
    not_after: Time | None


class CertificateRequestPage(PageOf[CertificateRequest], kw_only=True):
    """Signing requests, newest first."""


class HashData(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """CertificateHashData of OCPP: how stations name a certificate."""

    hash_algorithm: Literal["SHA256", "SHA384", "SHA512"]
    issuer_name_hash: Annotated[
        str, Meta(min_length=1, max_length=128, pattern=r"^[0-9A-Fa-f]+$", examples=["5f78be42a9"])
    ]
    issuer_key_hash: Annotated[
        str, Meta(min_length=1, max_length=128, pattern=r"^[0-9A-Fa-f]+$", examples=["c01d77ab20"])
    ]
    serial_number: Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[0-9A-Fa-f]+$", examples=["4fa21c09d3"])]


class InstalledCertificate(msgspec.Struct, kw_only=True):
    """A certificate that a station has told of."""

    use: Annotated[str, Meta(description="As the station's OCPP version calls it", examples=["CSMSRootCertificate"])]
    hash_data: HashData
    children: Annotated[list[HashData], Meta(description="Sub-authorities of a chain")]
    name: Annotated[str, Meta(description="Of the trusted authority that it is; empty where it is none of ours")]
    not_after: Annotated[Time | None, Meta(description="When it ends, where it is a trusted authority")]


class ShownCertificate(msgspec.Struct, kw_only=True):
    """The client certificate by which a station came in last."""

    station_id: str
    common_name: Annotated[str, Meta(description="CN", examples=["CP-1001"])]
    organization: Annotated[str, Meta(description="O")]
    issuer: Annotated[str, Meta(examples=["CN=Stations,O=Example"])]
    serial_number: Annotated[str, Meta(description="Hexadecimal", examples=["4fa21c09d3"])]
    fingerprint: Annotated[str, Meta(description="SHA-256, hexadecimal", examples=["9d3b2c77"])]
    not_before: Time
    not_after: Time
    days_left: Annotated[int, Meta(description="Whole days until it ends; negative where it has ended", examples=[41])]
    shown_since: Annotated[Time, Meta(description="When it was shown for the first time")]


class ShownCertificatePage(PageOf[ShownCertificate], kw_only=True):
    """Certificates of stations, the next to end first."""


class CertificateEnds(msgspec.Struct, kw_only=True):
    """How many certificates by which stations come in end soon."""

    ended: Annotated[int, Meta(description="That are over: these stations cannot come back", examples=[0])]
    within_7_days: Annotated[int, Meta(examples=[1])]
    within_30_days: Annotated[int, Meta(description="Those of 7 days among them", examples=[4])]
    within_90_days: Annotated[int, Meta(description="Those of 30 days among them", examples=[12])]
    first: Annotated[Time | None, Meta(description="The next end, where it is within 90 days")]


class StationCertificates(msgspec.Struct, kw_only=True):
    """What is known of a station's certificates."""

    security_profile: int
    next_profile: Annotated[
        int | None, Meta(description="The higher profile that the station was told to go to", examples=[3])
    ]
    password_pending: Annotated[
        bool, Meta(description="A new password was sent and is not used yet: the old and the new are taken")
    ]
    shown: Annotated[
        ShownCertificate | None, Meta(description="What it comes in with; null where that is a password or nothing")
    ]
    listed_at: Annotated[Time | None, Meta(description="When the station told what it has installed")]
    installed: list[InstalledCertificate]
    requests: Annotated[list[CertificateRequest], Meta(description="Newest first")]


class Reason(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why."""

    reason: ReasonText


class CertificateInstallation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A root for a station. Give `anchor_id` or `certificate`."""

    use: Annotated[InstallUse, Meta(description="What the station shall verify with it")]
    reason: ReasonText
    anchor_id: Annotated[
        str, Meta(max_length=48, pattern=r"^[^\x00-\x1f\x7f]*$", description="A trusted authority")
    ] = ""
    certificate: _Pem | None = None


class CertificateDeletion(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A certificate that a station shall forget."""

    hash_data: HashData
    reason: ReasonText


class StationPasswordChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A new password for a station."""

    reason: ReasonText
    password: (
        Annotated[
            str,
            Meta(
                min_length=16,
                max_length=40,
                pattern=r"^[!-~]+$",
                description="16 to 20 characters in OCPP 1.6, to 40 in 2.x; none: one is made",
                examples=["a-password-of-16+"],
            ),
        ]
        | None
    ) = None


class StationPasswordChanged(msgspec.Struct, kw_only=True):
    """What came of it."""

    command: CommandAnswer
    password: Annotated[
        str | None, Meta(description="The password that was made; here and nowhere else. None where it is not in use")
    ]


class TrustAnchor(msgspec.Struct, kw_only=True):
    """An authority that is trusted."""

    id: str
    name: str
    use: Annotated[
        AnchorUse,
        Meta(
            description="csms: whom stations trust as us. v2g, mo, oem: ISO 15118. manufacturer: firmware. station: "
            "client certificates of stations"
        ),
    ]
    subject: Annotated[str, Meta(examples=["CN=V2G Root,O=Example"])]
    issuer: Annotated[str, Meta(examples=["CN=V2G Root,O=Example"])]
    serial_number: Annotated[str, Meta(examples=["4fa21c09d3"])]
    fingerprint: Annotated[str, Meta(description="SHA-256, hexadecimal", examples=["9d3b2c77"])]
    not_before: Time
    not_after: Time
    added_at: Time
    added_by: Annotated[str, Meta(examples=["ada"])]
    certificate: Annotated[str, Meta(description="PEM", examples=["-----BEGIN CERTIFICATE-----\nMIIB..."])]


class TrustAnchorPage(PageOf[TrustAnchor], kw_only=True):
    """Trusted authorities by name."""


class NewTrustAnchor(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An authority to trust."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE, examples=["Example V2G Root"])]
    use: AnchorUse
    certificate: _Pem
    reason: ReasonText


class EstServer(msgspec.Struct, kw_only=True):
    """An external authority that is asked by EST (RFC 7030)."""

    url: Annotated[str, Meta(examples=["https://est.example.com"])]
    label: Annotated[str, Meta(examples=["stations"])]
    user: Annotated[str, Meta(examples=["csms"])]
    trust: Annotated[str, Meta(description="PEM of who has signed the server's certificate", examples=[""])]


class EstChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An external authority (RFC 7030)."""

    url: Annotated[
        str,
        Meta(min_length=9, max_length=500, pattern=r"^https://[!-~]+$", examples=["https://est.example.com"]),
    ]
    label: Annotated[str, Meta(max_length=100, pattern=r"^[!-~]*$", examples=["stations"])] = ""
    user: Annotated[str, Meta(max_length=100, pattern=r"^[ -~]*$", examples=["csms"])] = ""
    password: Annotated[str, Meta(max_length=200, pattern=r"^[ -~]*$", description="Empty: the one before")] = ""
    trust: Annotated[str, Meta(max_length=50_000, pattern=r"^[\x09\x0a\x0d\x20-\x7e]*$", examples=[""])] = ""


class CertificateAuthority(msgspec.Struct, kw_only=True):
    """Who signs stations' certificates."""

    source: Annotated[
        Literal["none", "built-in", "est"], Meta(description="none: requests are refused. built-in: the installation's")
    ]
    organization: Annotated[str, Meta(description="O for stations whose account names none")]
    days: Annotated[int, Meta(description="How long a certificate of the built-in authority is valid")]
    root: Annotated[str, Meta(description="PEM of the built-in authority's root", examples=[""])]
    issuing: Annotated[str, Meta(description="PEM of its sub-authority, which signs", examples=[""])]
    root_not_after: Time | None
    issuing_not_after: Time | None
    est: EstServer | None
    est_v2g: Annotated[EstServer | None, Meta(description="Of an ISO 15118 PKI, for V2GCertificate")]
    ocsp_hosts: Annotated[
        list[str],
        Meta(description="The only hosts that are asked whether a certificate was revoked; empty: every public one"),
    ]
    contracts_url: Annotated[
        str,
        Meta(
            description="Provider of contract certificates that Get15118EVCertificate goes to; empty: none",
            examples=[""],
        ),
    ]


class CertificateAuthorityChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to change."""

    source: Literal["none", "built-in", "est"] | UnsetType = UNSET
    organization: (
        Annotated[str, Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["Example Charging"])] | UnsetType
    ) = UNSET
    days: Annotated[int, Meta(ge=7, le=3650)] | UnsetType = UNSET
    est: EstChange | UnsetType | None = UNSET
    est_v2g: EstChange | UnsetType | None = UNSET
    ocsp_hosts: (
        Annotated[
            list[Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^\.?[a-z0-9.-]+$")]],
            Meta(max_length=100, examples=[["ocsp.example.com", ".pki.example.org"]]),
        ]
        | UnsetType
    ) = UNSET
    contracts_url: (
        Annotated[str, Meta(max_length=500, pattern=r"^(https?://[!-~]+)?$", examples=["https://ccp.example.com/v1"])]
        | UnsetType
    ) = UNSET
    contracts_token: (
        Annotated[
            str,
            Meta(
                max_length=4000,
                pattern=r"^[!-~]*$",
                description="Bearer token; kept locked",
                examples=["eyJhbGciOi..."],
            ),
        ]
        | UnsetType
    ) = UNSET
