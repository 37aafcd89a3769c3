"""Tokens, their groups, and tokens from files."""

from __future__ import annotations

import pytest

from pilotwire.domain import records

CSV = {"Content-Type": "text/csv"}
IMPORT = "/api/v1/tokens/import"


async def add(api, token: str, **fields) -> None:
    answer = await api.post("/api/v1/tokens", json={"token": token, **fields})
    assert answer.status_code == 200, answer.text


# -- one by one -------------------------------------------------------------------------------------------------------
async def test_a_token_is_found_and_replaced_in_any_case(api) -> None:
    await add(api, "AbCd", note="first")
    await add(api, "ABCD", note="second")
    found = (await api.get("/api/v1/tokens")).json()["items"]
    assert [(one["token"], one["note"]) for one in found] == [("AbCd", "second")]
    assert (await api.get("/api/v1/tokens/abcd")).json()["token"] == "AbCd"


async def test_a_token_is_changed_in_the_version_that_was_read(api) -> None:
    await add(api, "T1", expires_at="2027-01-01T00:00:00Z", parent="FLEET", note="keep")
    tag = (await api.get("/api/v1/tokens/T1")).headers["etag"]
    changed = await api.patch(
        "/api/v1/tokens/T1", json={"status": "Blocked", "expires_at": None}, headers={"If-Match": tag}
    )
    assert changed.status_code == 200
    told = changed.json()
    assert (told["status"], told["expires_at"], told["parent"], told["note"]) == ("Blocked", None, "FLEET", "keep")
    assert (await api.patch("/api/v1/tokens/T1", json={"note": "x"}, headers={"If-Match": tag})).status_code == 412
    assert (await api.delete("/api/v1/tokens/T1", headers={"If-Match": tag})).status_code == 412
    assert (await api.delete("/api/v1/tokens/T1")).status_code == 204


async def test_where_a_token_may_charge_and_for_how_much(world, api) -> None:
    await add(api, "PLAIN")
    await api.post("/api/v1/sites", json={"id": "north", "name": "North"})
    await add(api, "T1", credit="12.50", sites=["north"])

    async def told(name: str) -> tuple[str | None, list[str]]:
        found = (await api.get(f"/api/v1/tokens/{name}")).json()
        return found["credit"], found["sites"]

    assert (await told("PLAIN"), await told("T1")) == ((None, []), ("12.50", ["north"]))
    await api.post(IMPORT, content="token;note\nT1;from a file\n", headers=CSV, params={"dry_run": False})
    assert (await api.get("/api/v1/tokens/T1")).json()["note"] == "from a file"
    assert await told("T1") == ("12.50", ["north"]), "a file that does not name them leaves them alone"
    for wrong in ({"credit": "much"}, {"credit": "1e3"}, {"sites": "north"}, {"sites": ["nowhere"]}):
        answer = await api.patch("/api/v1/tokens/T1", json=wrong)
        assert answer.status_code == 422, wrong
    await api.patch("/api/v1/tokens/T1", json={"credit": "0", "sites": []})
    assert await told("T1") == ("0", [])
    await api.patch("/api/v1/tokens/T1", json={"credit": None})
    assert await told("T1") == (None, [])


async def test_the_list_is_filtered_and_sorted(api) -> None:
    await add(api, "T1", parent="A")
    await add(api, "T2", parent="B", status="Blocked")
    await add(api, "T3", parent="A", status="Blocked", note="Kim's spare")
    names = [one["token"] for one in (await api.get("/api/v1/tokens?sort=-token")).json()["items"]]
    assert names == ["T3", "T2", "T1"]
    blocked = (await api.get("/api/v1/tokens?status=Blocked&parent=A")).json()["items"]
    assert [one["token"] for one in blocked] == ["T3"]
    assert [one["token"] for one in (await api.get("/api/v1/tokens?q=SPARE")).json()["items"]] == ["T3"]
    first = (await api.get("/api/v1/tokens?limit=2&sort=-token")).json()
    rest = await api.get("/api/v1/tokens", params={"limit": 2, "sort": "-token", "cursor": first["next"]})
    assert [one["token"] for one in rest.json()["items"]] == ["T1"]
    other = await api.get("/api/v1/tokens", params={"cursor": first["next"]})
    assert (other.status_code, other.json()["type"]) == (400, "/api#problem-bad-cursor")


# -- groups -----------------------------------------------------------------------------------------------------------
async def test_a_group_is_there_as_soon_as_a_token_names_it(api) -> None:
    await add(api, "T1", parent="FLEET")
    found = (await api.get("/api/v1/groups")).json()["items"]
    assert [(one["id"], one["name"], one["tokens"], one["created_at"]) for one in found] == [("FLEET", "", 1, None)]
    named = await api.patch("/api/v1/groups/FLEET", json={"name": "Our vans"}, headers={"If-Match": '"0"'})
    assert (named.status_code, named.json()["name"], named.headers["etag"]) == (200, "Our vans", '"1"')
    assert (await api.patch("/api/v1/groups/FLEET", json={"note": "x"}, headers={"If-Match": '"0"'})).status_code == 412
    assert (await api.post("/api/v1/groups", json={"id": "FLEET"})).status_code == 409
    used = await api.delete("/api/v1/groups/FLEET")
    assert (used.status_code, used.json()["type"]) == (409, "/api#problem-in-use")
    await api.delete("/api/v1/tokens/T1")
    assert (await api.get("/api/v1/groups/FLEET")).json()["tokens"] == 0
    assert (await api.delete("/api/v1/groups/FLEET")).status_code == 204
    assert (await api.get("/api/v1/groups/FLEET")).status_code == 404


# -- from files -------------------------------------------------------------------------------------------------------
async def told(api, text: str | bytes, **query) -> dict:
    data = text if isinstance(text, bytes) else text.encode()
    answer = await api.post(IMPORT, content=data, headers=CSV, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(world, api) -> None:
    await add(api, "OLD", note="same", parent="A")
    await add(api, "SAME", note="as it is")
    text = "token,group,note\nNEW,B,fresh\nold,B,same\nSAME,,as it is\n"
    found = await told(api, text)
    assert (found["dry_run"], found["applied"], found["rows"]) == (True, False, 3)
    assert (found["created"], found["changed"], found["unchanged"], found["failed"]) == (1, 1, 1, 0)
    assert found["changes"] == [
        {
            "line": 2,
            "token": "NEW",
            "outcome": "created",
            "fields": {"type": [None, "ISO14443"], "status": [None, "Accepted"], "parent": [None, "B"],
                       "note": [None, "fresh"]},
        },
        {"line": 3, "token": "OLD", "outcome": "changed", "fields": {"parent": ["A", "B"]}},
    ]  # fmt: skip
    assert [one.token for one in await world.store.tokens("default")] == ["OLD", "SAME"]
    done = await told(api, text, dry_run="false")
    assert (done["applied"], done["created"], done["changed"]) == (True, 1, 1)
    kept = {one.token: (one.parent, one.note) for one in await world.store.tokens("default")}
    assert kept == {"NEW": ("B", "fresh"), "OLD": ("B", "same"), "SAME": ("", "as it is")}
    assert (await told(api, text, dry_run="false"))["unchanged"] == 3


async def test_each_bad_row_says_why_and_nothing_is_written_unless_asked(world, api) -> None:
    text = (
        "Token;Typ;Status;Gültig bis;Bemerkung\r\n"
        "A1;;;31.12.2027;ok\r\n"
        ";;;;no token\r\n"
        "A2;nfc;;;\r\n"
        "A3;;maybe;;\r\n"
        "A4;;;31.02.2027;\r\n"
        "\r\n"
        "1.23457E+11;;;;\r\n"
        "a1;;;;again\r\n"
        "A5;;;;;;too many\r\n"
        'A6;;gesperrt;;"with; a semicolon\nand a line"\r\n'
        "A7;;;;\r\n"
    )
    found = await told(api, text, dry_run="false")
    assert (found["delimiter"], found["applied"], found["failed"], found["created"]) == (";", False, 7, 3)
    assert [(one["line"], one["column"], one["value"]) for one in found["errors"]] == [
        (3, "Token", ""),
        (4, "Typ", "nfc"),
        (5, "Status", "maybe"),
        (6, "Gültig bis", "31.02.2027"),
        (8, "Token", "1.23457E+11"),
        (9, "Token", "a1"),
        (10, "", ""),
    ]
    messages = {one["line"]: one["message"] for one in found["errors"]}
    assert "spreadsheet" in messages[8] and "line 2" in messages[9] and "7 cells" in messages[10]
    assert await world.store.tokens("default") == []
    done = await told(api, text, dry_run="false", on_error="good-rows")
    assert (done["applied"], done["created"]) == (True, 3)
    kept = {one.token: one for one in await world.store.tokens("default")}
    assert sorted(kept) == ["A1", "A6", "A7"]
    assert kept["A6"].status == "Blocked" and kept["A6"].note == "with; a semicolon\nand a line"
    assert kept["A1"].expires_at == 1_830_297_600_000  # the end of that day: 2028-01-01T00:00Z


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("\ufefftoken,note\nT1,Größe\n".encode(), "utf-8"),
        ("token,note\nT1,Größe\n".encode("cp1252"), "windows-1252"),
        ("\ufefftoken\tnote\r\nT1\tGröße\r\n".encode("utf-16-le"), "utf-16-le"),
        ("\ufefftoken|note\nT1|Größe\n".encode("utf-16-be"), "utf-16-be"),
        ('sep=;\r\n"token";"note"\r\n"T1";"Größe"\r\n'.encode(), "utf-8"),
    ],
)
async def test_files_as_spreadsheets_write_them(world, api, data: bytes, encoding: str) -> None:
    found = await told(api, data, dry_run="false")
    assert (found["encoding"], found["created"]) == (encoding, 1)
    assert (await world.store.token("default", "T1")).note == "Größe"


async def test_a_bare_list_of_tokens_is_one_too(world, api) -> None:
    found = await told(api, "04A1\n04A2\n\n04A3", dry_run="false")
    assert (found["created"], found["columns"]) == (3, {"token": "token"})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"name,colour\nA,red\n", "No column holds the tokens"),
        (b'token,note\nT1,"never closed\n', "cannot be read as CSV"),
        (b"PK\x03\x04\x00\x00", "NUL"),
        (b"\xff\xfet\x00o\x00k", "utf-16"),
        (b"token\n" + b"".join(b"%d\n" % n for n in range(50_001)), "more than 50,000 rows"),
    ],
)
async def test_what_is_no_table_of_tokens_is_refused(api, data: bytes, says: str) -> None:
    answer = await api.post(IMPORT, content=data, headers=CSV)
    assert (answer.status_code, answer.json()["type"]) == (422, "/api#problem-bad-file")
    assert says in answer.json()["detail"]


async def test_fifty_thousand_rows_are_taken(world, api) -> None:
    text = "token,group,note\n" + "".join(f"TK{n:06d},G{n % 50},row {n}\n" for n in range(50_000))
    found = await told(api, text, dry_run="false")
    assert (found["applied"], found["created"], len(found["changes"])) == (True, 50_000, 200)
    assert len(await world.store.tokens("default")) == 50_000


async def test_what_is_exported_is_imported_again_unchanged(world, api) -> None:
    await add(api, "=1+1", note="-formula", parent="A", expires_at="2027-01-01T10:00:00.500Z")
    await add(api, 'Q"uote,s', type="eMAID", status="Blocked", note="a\nb")
    answer = await api.get("/api/v1/tokens/export")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbftoken,type,status,group") and b"\n'=1+1," in answer.content
    found = await told(api, answer.content, dry_run="false")
    assert (found["unchanged"], found["failed"], found["ignored"]) == (2, 0, [])
    await api.delete("/api/v1/tokens/=1+1")
    again = await told(api, answer.content, dry_run="false")
    assert (again["created"], again["unchanged"]) == (1, 1)
    assert (await world.store.token("default", "=1+1")).note == "-formula"


async def test_warnings_tell_what_a_16_station_cannot_say(api) -> None:
    found = await told(api, "token,expires\nABCDEFGHIJKLMNOPQRSTU,\nT2,2020-01-01\n")
    assert [(one["line"], one["column"]) for one in found["warnings"]] == [(2, "token"), (3, "expires")]
    assert found["failed"] == 0


async def test_only_who_may_write_may_import(world) -> None:
    await world.store.put_api_key(
        records.ApiKey(
            tenant="default",
            id="k",
            name="look",
            role="viewer",
            digest=__import__("hashlib").sha256(b"pw_v").hexdigest(),
        )
    )
    async with world.client(headers={"Authorization": "Bearer pw_v"}) as viewer:
        answer = await viewer.post(IMPORT, content=b"token\nT1\n", headers=CSV)
        assert answer.status_code == 403
        assert (await viewer.get("/api/v1/tokens/export")).status_code == 200
