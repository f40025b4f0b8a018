"""A writer of Torch7's binary format, made from torch7's File.lua, Tensor.c and Storage.c and not from our reader.

Python values stand for Lua's: None, bool, int and float, str, dict and list (tables; a list has the keys 1 to n), and
the classes below. An object that occurs twice (by identity) is written once and referred to.
"""

import struct
from dataclasses import dataclass

import numpy as np

TYPES = {
    "Float": np.float32,
    "Double": np.float64,
    "Cuda": np.float32,
    "Long": np.int64,
    "Int": np.int32,
    "Short": np.int16,
    "Byte": np.uint8,
    "Char": np.int8,
}


@dataclass(eq=False)
class Storage:
    values: np.ndarray
    kind: str = "Float"


@dataclass(eq=False)
class Tensor:
    """A view of a storage; `offset` counts from 0 and `strides` count elements."""

    storage: Storage | None
    shape: tuple
    strides: tuple
    offset: int = 0
    kind: str = "Float"


@dataclass(eq=False)
class Object:
    """An nn.* object."""

    class_name: str
    fields: object


@dataclass
class Raw:
    """Bytes that are written as they are."""

    data: bytes


def tensor(array: np.ndarray, kind: str = "Float") -> Tensor:
    """A tensor with a storage of its own."""
    storage = Storage(np.ascontiguousarray(array).ravel(), kind)
    return Tensor(
        storage, array.shape, tuple(s // array.itemsize for s in np.ascontiguousarray(array).strides), 0, kind
    )


def number(value: float) -> bytes:
    return struct.pack("<id", 1, value)


def string(text: str) -> bytes:
    return struct.pack("<i", len(text)) + text.encode("latin-1")


def write(value: object, versioned: bool = True) -> bytes:
    """`versioned=False`: as the oldest Torch7 wrote, without "V 1" before the class name."""
    return b"".join(_Writer(versioned).pieces(value))


class _Writer:
    def __init__(self, versioned):
        self.versioned = versioned
        self.known = {}  # id -> (index, the object, so that its id stays its own)

    def pieces(self, value):
        if value is None:
            yield struct.pack("<i", 0)
        elif isinstance(value, bool):
            yield struct.pack("<ii", 5, value)
        elif isinstance(value, (int, float)):
            yield number(value)
        elif isinstance(value, str):
            yield struct.pack("<i", 2) + string(value)
        elif isinstance(value, Raw):
            yield value.data
        else:
            is_table = isinstance(value, (dict, list))
            is_new = id(value) not in self.known
            index, _ = self.known.setdefault(id(value), (len(self.known) + 1, value))
            yield struct.pack("<ii", 3 if is_table else 4, index)
            if is_new:
                yield from self.table(value) if is_table else self.object(value)

    def table(self, value):
        items = value.items() if isinstance(value, dict) else enumerate(value, 1)
        yield struct.pack("<i", len(value))
        for key, entry in items:
            yield from self.pieces(key)
            yield from self.pieces(entry)

    def object(self, value):
        if self.versioned:
            yield string("V 1")
        if isinstance(value, Object):
            yield string(value.class_name)
            yield from self.pieces(value.fields)
        elif isinstance(value, Tensor):
            yield string(f"torch.{value.kind}Tensor")
            yield struct.pack("<i", len(value.shape))
            yield struct.pack(f"<{len(value.shape)}q", *value.shape)
            yield struct.pack(f"<{len(value.shape)}q", *value.strides)
            yield struct.pack("<q", value.offset + 1)
            yield from self.pieces(value.storage)
        else:
            yield string(f"torch.{value.kind}Storage")
            yield struct.pack("<q", len(value.values))
            yield (
                np.asarray(value.values, TYPES[value.kind])
                .astype(np.dtype(TYPES[value.kind]).newbyteorder("<"))
                .tobytes()
            )
