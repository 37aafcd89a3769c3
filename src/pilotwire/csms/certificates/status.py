"""Whether certificates were revoked: asked on behalf of stations and cars (M06; 2.1 GetCertificateChainStatus).

What is asked and where comes from a station, which has it from a certificate that anybody may have made. So:
  - the URL is one of the public internet, or of the hosts that the operator allows (`transport.outward`);
  - the issuer must be one that we trust: otherwise the answer could not be verified, and nobody is asked;
  - the answer is bounded in size and time, verified, and kept until its nextUpdate, a week at most;
  - the same question, asked by many at once, goes out once.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from cryptography import x509

from pilotwire.core.errors import PilotwireError
from pilotwire.core.time import Scheduler, from_datetime, to_datetime
from pilotwire.crypto import crl, ocsp
from pilotwire.crypto.hash_data import HashData
from pilotwire.domain.certificates import Asked, OneStatus, StatusTold
from pilotwire.transport.outward import NotAllowed, Outward, judge_url

from .signers import Spawn

RESULT_LENGTH = {"2.0.1": 5_500, "2.1": 18_000}
_KEPT_LISTS = 64

Issuers = Callable[[str], Sequence[x509.Certificate]]
"""Of a tenant: every authority that it trusts."""
_Told = Callable[["_Found"], None]


class _Found:
    """What came of a question: a verdict with its end, or why there is none."""

    __slots__ = ("code", "response", "until", "verdict", "why")

    def __init__(
        self, verdict: str = "", until: datetime | None = None, response: bytes = b"", code: str = "", why: str = ""
    ) -> None:
        self.verdict, self.until, self.response, self.code, self.why = verdict, until, response, code, why


class Statuses:
    """`StatusDesk` over the network."""

    def __init__(
        self,
        scheduler: Scheduler,
        spawn: Spawn,
        issuers: Issuers,
        *,
        hosts: Callable[[], Collection[str]] = tuple,
        private: bool = False,
    ) -> None:
        """`hosts()`: the only ones that may be asked; none: every public one. `private`: for tests."""
        self._scheduler = scheduler
        self._spawn = spawn
        self._issuers = issuers
        self._hosts = hosts
        self._private = private
        self._outward = Outward(private=private)
        self.answers = ocsp.Answers()
        self._lists: dict[str, tuple[datetime, bytes]] = {}
        self._asking: dict[tuple[str, ...], list[_Told]] = {}
        self.asked = 0
        """Questions that went out."""
        self.refused = 0
        """URLs that were not asked."""

    # -- StatusDesk ---------------------------------------------------------------------------------------------------
    def status(self, tenant: str, about: Asked, done: Callable[[StatusTold], None]) -> None:
        def told(found: _Found) -> None:
            if not found.response:
                done(StatusTold(status="Failed", reason_code=found.code, additional_info=found.why))
            else:
                # The car or station reads the verdict out of the answer itself, revoked ones too.
                done(StatusTold(status="Accepted", ocsp_result=base64.b64encode(found.response).decode()))

        self._find(tenant, about, told)

    def chain(
        self,
        tenant: str,
        about: tuple[Asked, ...],
        done: Callable[[tuple[OneStatus, ...]], None],
        issuers: Sequence[x509.Certificate] = (),
    ) -> None:
        rows: list[OneStatus | None] = [None] * len(about)
        left = len(about)

        def told(place: int, found: _Found) -> None:
            nonlocal left
            verdict = found.verdict.capitalize() if found.verdict in ("good", "revoked", "unknown") else "Failed"
            until = self._scheduler.now() if found.until is None else int(from_datetime(found.until))
            rows[place] = OneStatus(about[place], verdict, until)
            left -= 1
            if not left:
                done(tuple(row for row in rows if row is not None))

        for place, one in enumerate(about):
            self._find(tenant, one, lambda found, place=place: told(place, found), issuers)

    # -- inner --------------------------------------------------------------------------------------------------------
    def _find(self, tenant: str, asked: Asked, told: _Told, more: Sequence[x509.Certificate] = ()) -> None:
        about = HashData(asked.algorithm, asked.issuer_name_hash, asked.issuer_key_hash, asked.serial_number)
        now = to_datetime(self._scheduler.now())
        issuer = ocsp.find_issuer(about, [*self._issuers(tenant), *more])
        if issuer is None:
            self.refused += 1
            told(_Found(code="UnknownIssuer", why="the issuer of the certificate is not trusted here"))
            return
        if asked.source == "OCSP" and (kept := self.answers.get(about, now)) is not None:
            told(_Found(kept.status, kept.next_update, kept.response))
            return
        urls: list[str] = []
        wrong = "no address"
        for url in asked.urls:
            why = judge_url(url, hosts=self._hosts(), private=self._private)
            if why:
                wrong = f"the address {why}"
                self.refused += 1
            else:
                urls.append(url)
        if not urls:
            told(_Found(code="InvalidURL", why=wrong))
            return
        question = (*about.key(), asked.source, *urls)
        waiting = self._asking.get(question)
        if waiting is not None:
            waiting.append(told)
            return
        self._asking[question] = [told]
        self._spawn(self._ask(question, about, issuer, asked.source, urls))

    async def _ask(
        self, question: tuple[str, ...], about: HashData, issuer: x509.Certificate, source: str, urls: list[str]
    ) -> None:
        found = _Found(code="NoAnswer", why="nobody answered")
        try:
            for url in urls:
                try:
                    found = await (self._by_list if source == "CRL" else self._by_ocsp)(about, issuer, url)
                    break
                except NotAllowed as error:
                    self.refused += 1
                    found = _Found(code="InvalidURL", why=str(error))
                except PilotwireError as error:
                    found = _Found(code="NoAnswer", why=str(error))
        finally:
            for told in self._asking.pop(question, ()):
                told(found)

    async def _by_ocsp(self, about: HashData, issuer: x509.Certificate, url: str) -> _Found:
        self.asked += 1
        headers = [("content-type", "application/ocsp-request"), ("accept", "application/ocsp-response")]
        answer = await self._outward.fetch("POST", url, headers, ocsp.question(about), at_most=ocsp.LONGEST)
        if answer.status != 200:
            raise ocsp.OcspError("refused", f"the responder says HTTP {answer.status}")
        read = ocsp.read(answer.body, about, issuer, to_datetime(self._scheduler.now()))
        self.answers.put(about, read)
        return _Found(read.status, read.next_update, read.response)

    async def _by_list(self, about: HashData, issuer: x509.Certificate, url: str) -> _Found:
        now = to_datetime(self._scheduler.now())
        kept = self._lists.get(url)
        if kept is None or kept[0] <= now:
            self.asked += 1
            answer = await self._outward.fetch("GET", url, at_most=crl.LONGEST)
            if answer.status != 200:
                raise crl.CrlError("unreadable", f"the server says HTTP {answer.status}")
            body = answer.body
        else:
            body = kept[1]
        verdict = crl.read(body, about, issuer, now)
        self._lists[url] = (verdict.next_update, body)
        while len(self._lists) > _KEPT_LISTS:
            del self._lists[next(iter(self._lists))]
        return _Found(verdict.status, verdict.next_update)

    async def close(self) -> None:
        """Hang up."""
        await self._outward.close()
