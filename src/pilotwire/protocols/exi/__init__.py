"""EXI as DIN SPEC 70121 and ISO 15118 use it: schema-informed, bit-packed, not strict. Pure Python, from tables."""

from .codec import decode, decode_fragment, encode, encode_fragment
from .errors import DecodeError, EncodeError, UnknownSchema
from .grammar import SCHEMAS

__all__ = [
    "SCHEMAS", "DecodeError", "EncodeError", "UnknownSchema", "decode", "decode_fragment", "encode", "encode_fragment",
]  # fmt: skip
