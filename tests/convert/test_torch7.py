"""The reader of Torch7 files: the format, and that no file does harm."""

import struct
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glcic_hub.convert.torch7 import MAX_DEPTH, Module, Torch7Error, load
from tests.convert.torch7_writer import TYPES, Object, Raw, Storage, Tensor, number, string, tensor, write

NUMBERS = np.arange(24, dtype=np.float32)
FUNCTION = [Raw(struct.pack("<iii", tag, 1, 4) + b"\x1bLua") for tag in (6, 7, 8)]


def tiny() -> bytes:
    """A file with everything in it, in about 900 bytes."""
    storage = Storage(NUMBERS[:12])
    weight = Tensor(storage, (2, 1, 2, 2), (4, 4, 2, 1), 2)
    fields = {
        "weight": weight,
        "bias": Tensor(storage, (2,), (1,), 10),
        "kW": 2,
        "train": False,
        "_type": "torch.FloatTensor",
    }
    fields["output"] = Tensor(None, (), ())
    convolution = Object("nn.SpatialConvolution", fields)
    sequence = Object("nn.Sequential", {"modules": [convolution, Object("nn.ReLU", {"val": 0, "inplace": True})]})
    sequence.fields["self"] = sequence
    return write({"model": sequence, "mean": tensor(np.array([0.25, 0.5, 0.75]), "Double"), "nothing": None})


def test_the_bytes_of_the_specification():
    data = bytes.fromhex("03000000 01000000 01000000 02000000 05000000") + b"hello"
    data += bytes.fromhex("01000000 0000000000c05e40")
    assert load(data) == {"hello": 123.0}
    assert data == write({"hello": 123})


@pytest.mark.parametrize("value", [None, True, False, 0.0, -1.5, float("inf"), "", "Grün", {}, {"a": {"b": None}}])
def test_plain_values(value):
    assert load(write(value)) == value


def test_lists_have_integer_keys():
    value = load(write(["a", "b"]))
    assert value == {1: "a", 2: "b"}
    assert all(type(key) is int for key in value)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("versioned", [True, False])
def test_tensors_of_every_type(kind, versioned):
    array = np.arange(24).reshape(2, 3, 4).astype(TYPES[kind])
    read = load(write(tensor(array, kind), versioned))
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_views_share_a_storage():
    storage = Storage(NUMBERS)
    views = [
        Tensor(storage, (2, 3), (1, 2), 5),
        Tensor(storage, (3, 4), (0, 1), 20),
        Tensor(storage, (2, 1), (3, 2**60)),
    ]
    transposed, repeated, one = (load(write(views))[i] for i in (1, 2, 3))
    np.testing.assert_array_equal(transposed, NUMBERS[5:11].reshape(3, 2).T)
    np.testing.assert_array_equal(repeated, [NUMBERS[20:]] * 3)
    np.testing.assert_array_equal(one, [[0], [3]])
    assert not transposed.flags.writeable
    read = load(write([views[0], views[0], storage]))
    assert read[1] is read[2]


@pytest.mark.parametrize("empty", [Tensor(None, (), ()), Tensor(Storage(NUMBERS), (2, 0), (0, 1)), tensor(NUMBERS[:0])])
def test_empty_tensors(empty):
    assert load(write(empty)).size == 0


def test_modules_may_contain_themselves_and_need_no_version():
    module = Object("nn.Sequential", {"x": 1})
    module.fields["self"] = module
    module.fields["again"] = module.fields
    for versioned in (True, False):
        read = load(write(module, versioned))
        assert isinstance(read, Module) and (read.class_name, read.version) == ("nn.Sequential", int(versioned))
        assert read.fields["self"] is read and read.fields["again"] is read.fields and read.fields["x"] == 1


def test_the_tiny_file_is_read():
    read = load(tiny())
    convolution = read["model"].fields["modules"][1]
    np.testing.assert_array_equal(convolution.fields["weight"], NUMBERS[2:10].reshape(2, 1, 2, 2))
    np.testing.assert_array_equal(convolution.fields["bias"], [10, 11])
    np.testing.assert_array_equal(read["mean"], [0.25, 0.5, 0.75])


def test_a_file_that_is_cut_anywhere_is_refused():
    data = tiny()
    for size in range(len(data)):
        with pytest.raises(Torch7Error):
            load(data[:size])


def object_of(class_name: str, payload: bytes = b"") -> bytes:
    return struct.pack("<ii", 4, 1) + string("V 1") + string(class_name) + payload


def tensor_of(*numbers: int, dimensions: int | None = None, storage: object = None) -> bytes:
    """A FloatTensor with these sizes, strides and offset."""
    count = (len(numbers) - 1) // 2 if dimensions is None else dimensions
    payload = struct.pack("<i", count) + struct.pack(f"<{len(numbers)}q", *numbers)
    content = write(storage)
    if isinstance(storage, Storage):
        content = content[:4] + struct.pack("<i", 2) + content[8:]
    return object_of("torch.FloatTensor", payload + content)


def nested(depth: int) -> bytes:
    return b"".join(struct.pack("<iii", 3, i + 1, 1) + number(1) for i in range(depth)) + struct.pack("<i", 0)


HOSTILE = {
    "nothing": (b"", "ends in the middle"),
    "no type": (struct.pack("<i", 9), "9 is not a Torch7 type"),
    "negative type": (struct.pack("<i", -1), "not a Torch7 type"),
    "trailing bytes": (write({"a": 1}) + b"\0", "1 bytes follow"),
    "long string": (struct.pack("<ii", 2, 2**31 - 1), "string says it has 2147483647 bytes"),
    "negative string": (struct.pack("<ii", 2, -1) + b"abc", "string says"),
    "long table": (struct.pack("<iii", 3, 1, 2**31 - 1), "table says it has 2147483647"),
    "negative table": (struct.pack("<iii", 3, 1, -1), "table says it has -1"),
    "long storage": (object_of("torch.DoubleStorage", struct.pack("<q", 2**62)), "storage says"),
    "negative storage": (object_of("torch.DoubleStorage", struct.pack("<q", -1)), "storage says"),
    "boolean": (struct.pack("<ii", 5, 2), "boolean is 2"),
    "function": (write(FUNCTION[0]), "Lua function"),
    "function 7": (write({"a": FUNCTION[1]}), "Lua function"),
    "function 8": (write(Object("nn.Sequential", {"a": FUNCTION[2]})), "Lua function"),
    "other class": (write(Object("nn.Linear", {})), "'nn.Linear', which is not part"),
    "other library": (write(Object("os.execute", {})), "not part"),
    "other tensor": (object_of("torch.Tensor"), "not part"),
    "other storage": (object_of("torch.HalfStorage"), "not part"),
    "generator": (object_of("torch.Generator"), "not part"),
    "version of nothing": (struct.pack("<ii", 4, 1) + string("V 1") + string("V 1") + string("nn.ReLU"), "not part"),
    "content": (write(Object("nn.ReLU", [1])).replace(struct.pack("<ii", 3, 2), struct.pack("<ii", 4, 1)), "a table"),
    "number as content": (write(Object("nn.ReLU", 1)), "not a table"),
    "nil key": (write({None: 1}), "key is NoneType"),
    "boolean key": (write({True: 1}), "key is bool"),
    "broken key": (write({0.5: 1}), "key is 0.5"),
    "huge key": (write({2.0**40: 1}), "key is"),
    "no number as key": (write({float("nan"): 1}), "key is nan"),
    "table as key": (struct.pack("<iiiiii", 3, 1, 1, 3, 1, 0), "key is dict"),
    "key twice": (struct.pack("<iii", 3, 1, 2) + 2 * (number(1) + number(1)), "key 1 twice"),
    "deep": (nested(MAX_DEPTH + 1), "deeper than"),
    "very deep": (nested(50_000), "deeper than"),
    "many": (
        struct.pack("<iii", 3, 1, 60_000) + b"".join(number(i) * 2 for i in range(60_000)),
        "more than 100000 values",
    ),
    "table that is an object": (
        write([Object("nn.ReLU", {})]).replace(struct.pack("<ii", 3, 3), struct.pack("<ii", 3, 2)),
        "something other than what it is",
    ),
    "object that is a table": (struct.pack("<iii", 3, 1, 1) + number(1) + struct.pack("<ii", 4, 1), "something other"),
    "tensor in itself": (tensor_of(1, 1, 1, storage=Raw(struct.pack("<ii", 4, 1))), "contains itself"),
    "dimensions": (tensor_of(dimensions=9), "9 dimensions"),
    "negative dimensions": (tensor_of(dimensions=-1), "-1 dimensions"),
    "many dimensions": (tensor_of(dimensions=2**31 - 1), "dimensions"),
    "negative size": (tensor_of(-1, 1, 1, storage=Storage(NUMBERS)), "cannot be"),
    "negative stride": (tensor_of(2, -1, 3, storage=Storage(NUMBERS)), "cannot be"),
    "offset 0": (tensor_of(2, 1, 0, storage=Storage(NUMBERS)), "elements -1 to 0"),
    "negative offset": (tensor_of(2, 1, -(2**63), storage=Storage(NUMBERS)), "wants the elements"),
    "past the end": (tensor_of(24, 1, 2, storage=Storage(NUMBERS)), "elements 1 to 24 of a storage that has 24"),
    "stride past the end": (tensor_of(2, 24, 1, storage=Storage(NUMBERS)), "elements 0 to 24"),
    "overflow": (tensor_of(2, 2**62, 2**62, storage=Storage(NUMBERS)), "wants the elements"),
    "repeated without end": (tensor_of(2**40, 2**40, 0, 0, 1, storage=Storage(NUMBERS)), "cannot be"),
    "empty storage": (tensor_of(1, 1, 1, storage=Storage(NUMBERS[:0])), "storage that has 0"),
    "storage of another type": (tensor_of(1, 1, 1, storage=Storage(NUMBERS, "Double")), "storage of its own type"),
    "storage that is none": (tensor_of(1, 1, 1, storage="text"), "storage of its own type"),
}


@contextmanager
def bounded_memory(data: bytes) -> Iterator[None]:
    """Look at what reading the data takes: it must follow their size."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 200 * len(data) + 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_at_once(name):
    data, message = HOSTILE[name]
    started = time.process_time()
    with bounded_memory(data), pytest.raises(Torch7Error, match=message) as refused:
        load(data)
    assert time.process_time() - started < 5  # seconds, of which others on the machine take none
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 250


def test_a_view_of_many_elements_takes_no_memory():
    read = load(tensor_of(2**20, 2**20, 0, 0, 1, storage=Storage(NUMBERS)))
    assert read.shape == (2**20, 2**20) and read.base is not None


def survives(data: bytes) -> None:
    with bounded_memory(data):
        try:
            load(data)
        except Torch7Error as error:
            assert len(str(error)) < 500


QUICK = settings(max_examples=1500, deadline=2000, suppress_health_check=list(HealthCheck))


@QUICK
@given(st.binary(max_size=200))
def test_fuzz_random_bytes(data):
    survives(data)


TINY = tiny()
INTERESTING = [-(2**31), -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 2**16, 2**31 - 1]


@QUICK
@given(st.data())
def test_fuzz_changed_files(data):
    """Bytes changed, integers of all sizes put in, parts cut out, doubled or exchanged."""
    mutated = bytearray(TINY)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(mutated)))
        kind = data.draw(st.sampled_from(["byte", "int", "long", "cut", "double", "insert"]))
        length = data.draw(st.integers(1, 60))
        if kind == "byte":
            mutated[place : place + 1] = bytes([data.draw(st.integers(0, 255))])
        elif kind == "int":
            mutated[place : place + 4] = struct.pack("<i", data.draw(st.sampled_from(INTERESTING)))
        elif kind == "long":
            mutated[place : place + 8] = struct.pack("<q", data.draw(st.integers(-(2**63), 2**63 - 1)))
        elif kind == "cut":
            del mutated[place : place + length]
        elif kind == "double":
            mutated[place:place] = mutated[place : place + length]
        else:
            mutated[place:place] = data.draw(st.binary(max_size=20))
    survives(bytes(mutated))
