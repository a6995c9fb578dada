"""The national population database over its direct access path: SOAP 1.1, operations 033 and 037 (wire §3).

033 answers whether number and name belong together (the name by `population_store.name_key`; the birth date is not in
its message). 037 looks up by the number alone and answers every record under it, so that the caller can say what
differs. A person loaded with `refused` gets TonTai false from 033 and the fault `soap:Client.Refused` from 037.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import population_store, soap
from sandbox.faults import Behaviour, PopulationSwitches
from sandbox.population_store import Person
from sandbox.store import Store

PATH = "/population"
GENDERS = {"male": "1", "female": "2"}
REFUSAL = "Từ chối cung cấp thông tin"


class Population:
    """The register's one endpoint."""

    def __init__(
        self,
        store: Store,
        behaviour: Behaviour[PopulationSwitches],
        *,
        username: str,
        secret: str,
        skew_seconds: int,
    ) -> None:
        self.store = store
        self.behaviour = behaviour
        self._username, self._secret = username, secret
        self._skew_ms = skew_seconds * 1000

    def routes(self) -> list[Route]:
        return [Route(PATH, self._endpoint, methods=["POST"])]

    async def _endpoint(self, request: Request) -> Response:
        body = await request.body()
        operation = "033" if b"XacThucThongTinCongDanRequest" in body else "037"
        return await self.behaviour.play(
            operation,
            lambda: self._answer(request, body),
            lambda: _fault("Client.Refused", REFUSAL),
        )

    def _answer(self, request: Request, body: bytes) -> Response:
        try:
            self._authenticate(request)
            asked = soap.read(body)
            if isinstance(asked, soap.Verify):
                return _xml(
                    soap.verified(
                        exists=population_store.exists(self.store, asked.personal_id, asked.old_id, asked.full_name)
                    )
                )
            people = population_store.look_up(self.store, asked.personal_id, asked.old_id)
            if any(person.refused for person in people):
                raise soap.SoapFault("Client.Refused", REFUSAL)
            return _xml(_collection(people, self.behaviour.switches.birth_date))
        except soap.SoapFault as fault:
            return _fault(fault.code, fault.message)

    def _authenticate(self, request: Request) -> None:
        """Headers of the direct service (wire §3.4). Raises SoapFault."""
        headers = request.headers
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in ("application/xml", "text/xml"):
            raise soap.SoapFault("Client", "Content-Type phải là application/xml")
        for name in ("x-road-client", "apikey"):
            if not headers.get(name):
                raise soap.SoapFault("Client.Authentication", f"Thiếu header {name}")
        if "soapaction" not in headers:
            raise soap.SoapFault("Client", "Thiếu header SOAPAction")
        timestamp = headers.get("timestamp", "")
        if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 15):
            raise soap.SoapFault("Client.Authentication", "Thiếu hoặc sai header Timestamp")
        if abs(time.time() * 1000 - int(timestamp)) > self._skew_ms:
            raise soap.SoapFault("Client.Authentication", "Timestamp lệch quá mức cho phép")
        wanted = f"{self._username}:{self.token(timestamp)}"
        if not hmac.compare_digest(_basic(headers.get("authorization", "")), wanted.encode()):
            raise soap.SoapFault("Client.Authentication", "Sai Authorization")

    def token(self, timestamp: str) -> str:
        """sha256hex(urlAuthPath + userName + timestamp + secret)."""
        return hashlib.sha256(f"{PATH}{self._username}{timestamp}{self._secret}".encode()).hexdigest()


def _basic(header: str) -> bytes:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(credentials, validate=True)
    except binascii.Error:
        return b""


def _collection(people: Sequence[Person], birth_date: str) -> bytes:
    citizens = "".join(_citizen(person, birth_date) for person in people)
    return soap.envelope(f'<CongdanCollection xmlns="{soap.REGISTER}">{citizens}</CongdanCollection>')


def _citizen(person: Person, birth_date: str) -> str:
    words = person.full_name.upper().split()
    family, middle, given = words[0], " ".join(words[1:-1]), words[-1] if len(words) > 1 else ""
    name = [soap.element("Ho", family), soap.element("ChuDem", middle), soap.element("Ten", given)]
    place = [soap.element(part, "") for part in ("MaTinhThanh", "MaQuanHuyen", "MaPhuongXa")]
    place += [soap.element("ChiTiet", person.address), soap.element("QuocGia", "VN")]
    return soap.element(
        "CongDan",
        [
            soap.element("SoDinhDanh", person.personal_id),
            soap.element("SoCMND", person.old_id),
            soap.element("HoVaTen", name),
            soap.element("GioiTinh", GENDERS.get(person.gender, "")),
            soap.element("NgayThangNamSinh", [_birth(person.date_of_birth, birth_date)]),
            soap.element("ThuongTru", place),
            soap.element("QuocTich", "VN"),
        ],
    )


def _birth(date_of_birth: str, style: str) -> str:
    if len(date_of_birth) == 4:
        return soap.element("Nam", date_of_birth)
    shown = date_of_birth if style == "dashed" else date_of_birth.replace("-", "")
    return soap.element("NgayThangNam", shown)


def _fault(code: soap.FaultCode, message: str) -> Response:
    return _xml(soap.fault(code, message), 401 if code == "Client.Authentication" else 500)


def _xml(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="text/xml")
