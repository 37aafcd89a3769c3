"""The Java codec of PyPI `iso15118`, run in that package's own venv: XML in, EXI out, a line of JSON each.

python exificient.py FOLDER     FOLDER: the package's schemas, with the one of XML signatures beside each of them
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from py4j.java_gateway import JavaGateway

# What V2G agreed on: nothing that was sent before is referred to.
_NO_TABLES = 0


def main(folder: Path, jar: str) -> None:
    gateway = JavaGateway.launch_gateway(classpath=jar, die_on_exit=True)
    java = gateway.jvm
    exi = java.com.siemens.ct.exi
    factories: dict[tuple[str, bool], Any] = {}

    def encoded(root: str, fragment: bool, text: str) -> bytes:
        if (root, fragment) not in factories:
            made = exi.core.helpers.DefaultEXIFactory.newInstance()
            made.setGrammars(exi.grammars.GrammarFactory.newInstance().createGrammars(str(folder / root)))
            made.setFragment(fragment)
            made.setValuePartitionCapacity(_NO_TABLES)
            factories[root, fragment] = made
        stream = java.java.io.ByteArrayOutputStream()
        result = exi.main.api.sax.EXIResult(factories[root, fragment])
        result.setOutputStream(stream)
        reader = java.org.xml.sax.helpers.XMLReaderFactory.createXMLReader()
        reader.setContentHandler(result.getHandler())
        reader.parse(java.org.xml.sax.InputSource(java.java.io.StringReader(text)))
        return bytes(stream.toByteArray())

    for line in sys.stdin:
        try:
            answer = {"exi": encoded(*json.loads(line)).hex()}
        except Exception as error:
            answer = {"error": str(error)[-500:]}
        print(json.dumps(answer), flush=True)
    gateway.shutdown()


if __name__ == "__main__":
    from importlib.metadata import files

    (found,) = [one for one in files("iso15118") or () if one.name == "EXICodec.jar"]
    main(Path(sys.argv[1]), str(found.locate()))
