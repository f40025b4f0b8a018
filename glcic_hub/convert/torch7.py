"""Reader of Torch7's binary serialisation (`.t7`), which holds the official GLCIC weights.

The format, from torch7's `File.lua`, `generic/Tensor.c` and `generic/Storage.c`: no header; little-endian; an `int` has
4 bytes, a `long` 8. Every object is an int tag and its content; tables and torch objects carry an index, and an index
that was seen before is a reference. It is read here as data: nothing in the file is ever executed, only the classes of
a GLCIC network are known, and nothing is allocated before its size was compared with the bytes that are left.
"""

import math
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

NIL, NUMBER, STRING, TABLE, TORCH, BOOLEAN = range(6)
FUNCTIONS = (6, 7, 8)

MODULES = frozenset(
    f"nn.{name}"
    for name in (
        "Sequential",
        "SpatialConvolution",
        "SpatialConvolutionMM",
        "SpatialDilatedConvolution",
        "SpatialFullConvolution",
        "SpatialBatchNormalization",
        "ReLU",
        "Sigmoid",
    )
)
DTYPES = {
    "Float": "<f4",
    "Double": "<f8",
    "Cuda": "<f4",
    "Long": "<i8",
    "Int": "<i4",
    "Short": "<i2",
    "Byte": "u1",
    "Char": "i1",
}

MAX_OBJECTS = 100_000
"""The official network has about 2,500 values, keys included; this bounds time and the memory of small objects."""
MAX_DEPTH = 32
MAX_STRING = 65_536
MAX_DIMENSIONS = 8
MAX_INTEGER_KEY = 2**31
MAX_ELEMENTS = 2**40  # of a view, which may repeat elements; the array is not made larger than its storage


class Torch7Error(ValueError):
    """The bytes are not a Torch7 file of this kind, or they are damaged."""


@dataclass
class Module:
    """A `nn.*` object: its class, the version of the class (0 in the oldest files) and its fields."""

    class_name: str
    version: int
    fields: dict[str | int, Any] = field(default_factory=dict)


@dataclass
class _Storage:
    values: np.ndarray


class _Unfinished:
    """Stands in the index for a tensor or storage whose content is being read, and cannot contain itself."""


def load(data: bytes) -> Any:
    """Read one object, which must fill the bytes completely.

    Args:
        data: the whole file.

    Returns:
        nil, number, string, boolean: None, float, str, bool. Table: dict (number keys are int). Tensor: a read-only
        NumPy view of `data`, in its own type, or an empty array. `nn.*` object: `Module`. Objects may contain
        themselves, and be shared.

    Raises:
        Torch7Error: with one sentence, for anything else, whatever the bytes are.
    """
    reader = _Reader(data)
    value = reader.read_object()
    if reader.position != len(data):
        raise Torch7Error(f"{len(data) - reader.position} bytes follow the end of the Torch7 object")
    return value


class _Reader:
    def __init__(self, data: bytes):
        self.data = memoryview(data).toreadonly()
        self.position = 0
        self.depth = 0
        self.count = 0
        self.objects: dict[int, Any] = {}

    @property
    def left(self) -> int:
        return len(self.data) - self.position

    def read_object(self) -> Any:
        self.count += 1
        self.depth += 1
        if self.count > MAX_OBJECTS or self.depth > MAX_DEPTH:
            raise Torch7Error(f"the file contains more than {MAX_OBJECTS} values or nests them deeper than {MAX_DEPTH}")
        tag = self._int()
        if tag == NIL:
            value = None
        elif tag == NUMBER:
            (value,) = self._unpack("<d")
        elif tag == STRING:
            value = self._string()
        elif tag == TABLE:
            value = self._table()
        elif tag == TORCH:
            value = self._torch()
        elif tag == BOOLEAN:
            value = self._boolean()
        elif tag in FUNCTIONS:
            raise Torch7Error("the file contains a Lua function; functions are code and are not read")
        else:
            raise Torch7Error(f"byte {self.position - 4} should start an object, but {tag} is not a Torch7 type")
        self.depth -= 1
        return value

    def _boolean(self) -> bool:
        value = self._int()
        if value not in (0, 1):
            raise Torch7Error(f"a boolean is {value}; wanted 0 or 1")
        return bool(value)

    def _table(self) -> dict[str | int, Any]:
        index = self._int()
        if index in self.objects:
            return self._known(index, dict)
        table = self.objects[index] = {}  # before its content, which may contain it
        count = self._int()
        if not 0 <= count <= self.left // 8:  # a key and a value have at least 4 bytes each
            raise Torch7Error(f"a table says it has {count} entries, more than the rest of the file can hold")
        for _ in range(count):
            key = self._key()
            if key in table:
                raise Torch7Error(f"a table has the key {key!r} twice")
            table[key] = self.read_object()
        return table

    def _key(self) -> str | int:
        key = self.read_object()
        if isinstance(key, str):
            return key
        if isinstance(key, float) and key.is_integer() and abs(key) <= MAX_INTEGER_KEY:
            return int(key)
        raise Torch7Error(f"a table's key is {key if isinstance(key, float) else type(key).__name__}; wanted a name")

    def _torch(self) -> Module | _Storage | np.ndarray:
        index = self._int()
        if index in self.objects:
            return self._known(index, (Module, _Storage, np.ndarray))
        version, name = 0, self._string()
        if name.startswith("V ") and name[2:].isdecimal() and len(name) < 12:
            version, name = int(name[2:]), self._string()
        if name in MODULES:
            module = self.objects[index] = Module(name, version)
            fields = self.read_object()
            if not isinstance(fields, dict):
                raise Torch7Error(f"the content of a {name} is not a table")
            module.fields = fields
            return module
        value: _Storage | np.ndarray
        kind = name.removeprefix("torch.").removesuffix("Tensor").removesuffix("Storage")
        self.objects[index] = _Unfinished()
        if name == f"torch.{kind}Storage" and kind in DTYPES:
            value = self._storage(np.dtype(DTYPES[kind]))
        elif name == f"torch.{kind}Tensor" and kind in DTYPES:
            value = self._tensor(np.dtype(DTYPES[kind]))
        else:
            raise Torch7Error(f"the file contains a {name[:80]!r}, which is not part of a GLCIC network")
        self.objects[index] = value
        return value

    def _known(self, index: int, wanted: type | tuple[type, ...]) -> Any:
        value = self.objects[index]
        if not isinstance(value, wanted):
            raise Torch7Error(f"object {index} is referred to as something other than what it is, or contains itself")
        return value

    def _storage(self, dtype: np.dtype) -> _Storage:
        (count,) = self._unpack("<q")
        if not 0 <= count <= self.left // dtype.itemsize:
            raise Torch7Error(f"a storage says it has {count} elements, more than the rest of the file can hold")
        return _Storage(np.frombuffer(self._take(count * dtype.itemsize), dtype))

    def _tensor(self, dtype: np.dtype) -> np.ndarray:
        dimensions = self._int()
        if not 0 <= dimensions <= MAX_DIMENSIONS:
            raise Torch7Error(f"a tensor says it has {dimensions} dimensions")
        numbers = self._unpack(f"<{2 * dimensions + 1}q")
        shape, strides, offset = numbers[:dimensions], numbers[dimensions:-1], numbers[-1] - 1
        storage = self.read_object()
        if storage is not None and not (isinstance(storage, _Storage) and storage.values.dtype == dtype):
            raise Torch7Error("a tensor does not refer to a storage of its own type")
        if min((*shape, *strides), default=0) < 0 or math.prod(shape) > MAX_ELEMENTS:
            raise Torch7Error(f"a tensor says it is {shape} with strides {strides}, which cannot be")
        if storage is None or not shape or 0 in shape:
            return np.empty(0, dtype)
        last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides))
        if offset < 0 or last >= len(storage.values):
            raise Torch7Error(
                f"a tensor wants the elements {offset} to {last} of a storage that has {len(storage.values)}"
            )
        # A size of 1 makes its stride irrelevant, and as large as the file likes.
        steps = [stride * dtype.itemsize if size > 1 else 0 for size, stride in zip(shape, strides)]
        return np.lib.stride_tricks.as_strided(storage.values[offset:], shape, steps, writeable=False)

    def _string(self) -> str:
        length = self._int()
        if not 0 <= length <= min(self.left, MAX_STRING):
            raise Torch7Error(f"a string says it has {length} bytes, which is too many")
        return bytes(self._take(length)).decode("latin-1")  # every byte is a character: names stay different

    def _int(self) -> int:
        (value,) = self._unpack("<i")
        return value

    def _unpack(self, layout: str) -> tuple:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))

    def _take(self, size: int) -> memoryview:
        if size > self.left:
            raise Torch7Error("the file ends in the middle of an object; download or copy it again")
        self.position += size
        return self.data[self.position - size : self.position]
