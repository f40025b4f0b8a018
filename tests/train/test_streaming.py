"""Streams through `datasets`: tar shards, folders, and data sets of a Hub on the loopback."""

import io
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("datasets", reason='streams need what comes with pip install ".[stream]"')

from tests.hub.loopback_hub import Handler, LoopbackHub
from tests.train.pictures import DAMAGED, encoded, noise, write_shard
from train.loading import load_batches
from train.streaming import StreamedCrops, open_stream

SHARDS, PER_SHARD = 4, 5


def grey(number: int) -> bytes:
    """An even picture by whose colour a crop tells which it is of."""
    return encoded(Image.new("RGB", (24, 20), (5 * number,) * 3))


@pytest.fixture
def shards(tmp_path) -> Path:
    """Four shards of five even pictures, numbered through from 0 to 19."""
    for shard in range(SHARDS):
        numbers = range(PER_SHARD * shard, PER_SHARD * (shard + 1))
        write_shard(tmp_path / f"s-{shard}.tar", {f"{number:02d}.png": grey(number) for number in numbers})
    return tmp_path


def crops_of(shards: Path, length: int = 40, **settings) -> StreamedCrops:
    stream = open_stream("webdataset", data_files=[str(shards / "s-{0..3}.tar")], image_column="png")
    return StreamedCrops(stream, "png", 8, (1.0, 1.5), length, **{"seed": 0, "shuffle_buffer_size": 6} | settings)


def run(crops: StreamedCrops, batch_size: int = 2, **share) -> list:
    return list(load_batches(crops, batch_size, **{"first_step": 0, "rank": 0, "world": 1} | share))


def numbers(batches: list) -> list[int]:
    return [round(crop.mean().item() * 51) for batch in batches for crop in batch.images]


# ------------------------------------------------------------------------------------------------------- opening


def test_pictures_come_encoded_and_alone(shards):
    for shard in shards.glob("*.tar"):
        write_shard(shard, {"a.png": encoded(noise(9, 9)), "a.txt": b"a caption", "a.json": b"{}"})
    stream = open_stream("webdataset", data_files=[str(shards / "s-0.tar")], image_column="png")
    (example,) = stream
    assert example.keys() == {"png"}
    assert example["png"]["bytes"] == encoded(noise(9, 9))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("no/such-data-set",), OSError, "cannot open the data set no/such-data-set: "),
        (("webdataset", None, ["s-9.tar"], "png"), OSError, r"cannot open the data set webdataset: .*s-9\.tar"),
        (("webdataset", None, ["s-0.tar"]), ValueError, "no pictures in a column 'image'; choose .*: png$"),
        (("webdataset", None, ["text.tar"]), ValueError, "no other column has any"),
        (("webdataset", None, ["no.tar"], "png"), OSError, "cannot open the data set webdataset: "),
        (("folder", "unheard-of"), ValueError, "cannot open the data set folder: .*unheard-of"),
    ],
)
def test_wrong_data_sets_are_refused_with_a_sentence(shards, monkeypatch, arguments, error, message):
    monkeypatch.chdir(shards)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    write_shard(shards / "text.tar", {"a.txt": b"a caption"})
    (shards / "no.tar").write_bytes(b"no tar at all" * 100)
    (shards / "folder").mkdir()
    (shards / "folder" / "x.png").write_bytes(grey(1))
    with pytest.raises(error, match=message):
        open_stream(*arguments)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r"\.\[stream\]"):
        open_stream("anything")


# ------------------------------------------------------------------------------------------- order, shares, resuming


def test_every_picture_comes_once_per_epoch_in_changing_order(shards):
    seen = numbers(run(crops_of(shards)))
    assert sorted(seen[:20]) == sorted(seen[20:]) == list(range(20))
    assert len({tuple(seen[:20]), tuple(seen[20:]), tuple(range(20))}) == 3
    assert numbers(run(crops_of(shards))) == seen
    assert numbers(run(crops_of(shards, seed=1))) != seen


def test_shuffle_buffer_mixes_the_shards(shards):
    seen = np.array(numbers(run(crops_of(shards, shuffle_buffer_size=20)))[:20])
    assert (np.diff(seen // PER_SHARD) != 0).sum() > SHARDS


@pytest.mark.parametrize(("world", "workers"), [(2, 0), (4, 0), (3, 0), (2, 2), (1, 2)])
def test_processes_and_workers_see_different_pictures(shards, world, workers):
    # Four shards cannot be shared out among three processes: each reads all and takes every third picture.
    per_process = math.ceil(20 / world)
    crops = crops_of(shards, length=world * per_process)
    seen = [numbers(run(crops, 1, rank=rank, world=world, workers=workers)) for rank in range(world)]
    assert [len(part) for part in seen] == [per_process] * world
    whole = [number for part in seen for number in part]
    if world == 3:  # one of 20 pictures is left over: two processes start over with their second epoch
        assert all(len(set(part[:6])) == 6 for part in seen)
        assert len({number for part in seen for number in part[:6]}) == 18
    else:
        assert sorted(whole) == list(range(20))


def test_crops_are_cut_as_from_files(tmp_path):
    picture = noise(40, 50)
    write_shard(tmp_path / "s-0.tar", {"x.png": encoded(picture)})
    stream = open_stream("webdataset", data_files=[str(tmp_path / "s-0.tar")], image_column="png")
    crops = StreamedCrops(stream, "png", 16, (1.25, 1.5), 6, seed=3)
    streamed = torch.cat([batch.images for batch in run(crops)])
    reduced = picture.resize((30, 24), Image.Resampling.LANCZOS)  # the largest that is needed: 24 is 16 x 1.5
    for sample, crop in enumerate(streamed):
        rng = np.random.default_rng([3, 1, sample])
        side = 16 / (round(16 * rng.uniform(1.25, 1.5)) / 24)
        left, top = rng.uniform(0, 30 - side), rng.uniform(0, 24 - side)
        expected = reduced.resize((16, 16), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
        if rng.random() < 0.5:
            expected = expected.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        assert np.array_equal(np.asarray(expected), crop.numpy().transpose(1, 2, 0) * np.float32(255))


@pytest.fixture
def noisy_shards(tmp_path) -> Path:
    """As `shards`, but every picture is different everywhere, and three are damaged."""
    for shard in range(SHARDS):
        files = {f"{shard}{n}.png": encoded(noise(20, 24, PER_SHARD * shard + n)) for n in range(PER_SHARD)}
        write_shard(tmp_path / f"s-{shard}.tar", files | {f"{shard}2.png": DAMAGED["text"]} if shard else files)
    return tmp_path


@pytest.mark.parametrize(
    ("world", "rank", "workers", "first_step"),
    [(1, 0, 0, 1), (1, 0, 0, 11), (1, 0, 2, 5), (1, 0, 2, 12), (1, 0, 3, 4), (2, 1, 0, 5), (2, 0, 2, 3), (3, 2, 0, 4)],
)
def test_resumed_stream_gives_what_the_whole_one_gives(noisy_shards, world, rank, workers, first_step):
    crops = crops_of(noisy_shards, length=14 * 2 * world)
    whole = run(crops, rank=rank, world=world, workers=workers)
    rest = run(crops, rank=rank, world=world, workers=workers, first_step=first_step)
    assert len(whole) == 14 and len(rest) == 14 - first_step
    for batch, same in zip(rest, whole[first_step:]):
        assert torch.equal(batch.images, same.images)
        assert batch.damaged == same.damaged
    assert len(torch.cat([batch.images for batch in whole]).flatten(1).unique(dim=0)) == 28


def test_nothing_is_decoded_on_the_way_to_the_first_step(shards, monkeypatch):
    from train import streaming

    decoded = []
    decode = streaming.decode_picture
    monkeypatch.setattr(streaming, "decode_picture", lambda data: decoded.append(data) or decode(data))
    assert len(run(crops_of(shards), first_step=17)) == 3
    assert len(decoded) == 6


def test_first_crops_are_those_of_the_first_batches(noisy_shards):
    crops = crops_of(noisy_shards)
    first = torch.stack(list(crops.first(6)))
    assert torch.equal(first, torch.cat([batch.images for batch in run(crops)])[:6])
    assert torch.equal(first, torch.stack(list(crops.first(6))))


def test_more_workers_than_shards_are_left_out_with_a_warning(shards):
    with pytest.warns(UserWarning, match="4 workers read the stream instead of 5"):
        batches = run(crops_of(shards, length=20), 1, workers=5)
    assert len(set(numbers(batches))) == 20


# ------------------------------------------------------------------------------------------------------- damage


def test_next_whole_picture_takes_the_place_of_a_damaged_one(shards):
    order = numbers(run(crops_of(shards)))
    damaged = {order[0], order[4], order[5]}
    for shard in range(SHARDS):
        names = range(PER_SHARD * shard, PER_SHARD * (shard + 1))
        files = {f"{n:02d}.png": DAMAGED["truncated"] if n in damaged else grey(n) for n in names}
        write_shard(shards / f"s-{shard}.tar", files)
    batches = run(crops_of(shards))
    expected, met = [], []
    for place in range(40):
        behind = next(n for n in range(place, 40) if order[n] not in damaged)
        expected.append(order[behind])
        met += [f"{number:02d}.png" for number in order[place:behind]]
    assert numbers(batches) == expected
    assert [one.name for batch in batches for one in batch.damaged] == met
    assert f"{order[0]:02d}.png (number 0 of epoch 0 of the stream)" in batches[0].damaged[0].message


@pytest.mark.parametrize("workers", [0, 2])
def test_stream_of_damaged_pictures_stops_with_one_sentence(shards, workers):
    for shard in shards.glob("*.tar"):
        write_shard(shard, {"x.png": DAMAGED["text"]})
    with pytest.raises(OSError, match=r"none of the 100 pictures tried for sample \d can be read; .*x\.png") as raised:
        run(crops_of(shards), workers=workers)
    assert "\n" not in str(raised.value)


def test_shard_that_breaks_off_stops_with_one_sentence(shards):
    crops = crops_of(shards, shuffle_buffer_size=1)
    whole = (shards / "s-2.tar").read_bytes()
    (shards / "s-2.tar").write_bytes(whole[:2000])  # in the header of the second picture
    with pytest.raises(OSError, match=r"the stream broke off after \d+ pictures of epoch 0: "):
        run(crops)


def test_share_without_pictures_is_named(shards):
    one = open_stream("webdataset", data_files=[str(shards / "s-0.tar")], image_column="png")
    crops = StreamedCrops(one, "png", 8, (1.0, 1.5), 100, 0)
    assert len(run(crops, 1, rank=4, world=5)) == 20
    with pytest.raises(ValueError, match="no picture for process 5 of 6"):
        run(crops, 1, rank=5, world=6)


# ------------------------------------------------------------------------------------------------------- memory

MEASURE = """
import json, resource, sys
from train.loading import load_batches
from train.streaming import StreamedCrops, open_stream

stream = open_stream("webdataset", data_files=[sys.argv[1]], image_column="bmp")
crops = StreamedCrops(stream, "bmp", 8, (1.0, 1.5), 100_000, 0, shuffle_buffer_size=8)
batches = load_batches(crops, 10, first_step=0, rank=0, world=1)
peaks = []
for step in range(121):
    assert len(next(batches).images) == 10
    if step in (10, 120):
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(json.dumps(peaks))
"""


def test_memory_does_not_grow_with_the_stream(tmp_path):
    size = len(encoded(noise(200, 200), "BMP"))
    for shard in range(4):
        files = {f"{n}.bmp": encoded(noise(200, 200, 1000 * shard + n), "BMP") for n in range(100)}
        write_shard(tmp_path / f"s-{shard}.tar", files)
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "s-{0..3}.tar")], capture_output=True, text=True, timeout=120
    )
    assert measured.returncode == 0, measured.stderr
    early, late = json.loads(measured.stdout)
    read_in_between = 1100 * size / 1024  # KiB, as the peaks are
    assert late - early < read_in_between / 10


# -------------------------------------------------------------------------------------------- folders and the Hub


def test_folder_of_pictures(tmp_path):
    (tmp_path / "train").mkdir()
    for number in range(7):
        (tmp_path / "train" / f"{number}.png").write_bytes(grey(number))
    crops = StreamedCrops(open_stream(str(tmp_path)), "image", 8, (1.0, 1.5), 14, 0)
    seen = numbers(run(crops))
    assert sorted(seen[:7]) == sorted(seen[7:]) == list(range(7))
    assert numbers(run(crops, first_step=3)) == seen[6:]


class DatasetHandler(Handler):
    """Serves the repositories of the loopback Hub as data sets, too."""

    def route(self, parts):
        match parts:
            case ["api", "datasets", *rest]:
                parts = ["api", "models", *rest]
            case ["datasets", *rest]:
                parts = rest
        super().route(parts)


@pytest.fixture
def hub(tmp_path):
    with LoopbackHub(tmp_path / "objects") as running:
        running.server.RequestHandlerClass = type("BoundDatasetHandler", (DatasetHandler,), {"hub": running})
        yield running


def parquet(pictures: list[bytes]) -> bytes:
    import pyarrow
    from pyarrow.parquet import write_table

    buffer = io.BytesIO()
    captions = [f"picture {n}" for n in range(len(pictures))]
    columns = {"text": captions, "photo": [{"bytes": data, "path": f"{n}.png"} for n, data in enumerate(pictures)]}
    write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


HUB_RUN = """
import json, sys
import datasets
from train.loading import load_batches
from train.streaming import StreamedCrops, open_stream

datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0.1  # seconds; 5 at the end of every epoch of Parquet files
name, column, config = sys.argv[1:]
crops = StreamedCrops(open_stream(name, config or None, image_column=column), column, 8, (1.0, 1.5), 16, 0)
seen = []
for first_step in (0, 3):
    batches = load_batches(crops, 2, first_step=first_step, rank=0, world=1)
    seen.append([round(crop.mean().item() * 51) for batch in batches for crop in batch.images])
print(json.dumps(seen))
"""


@pytest.mark.parametrize(
    ("kind", "column", "config"), [("files", "image", ""), ("parquet", "photo", ""), ("parquet", "photo", "large")]
)
def test_data_set_of_the_hub(hub, tmp_path, kind, column, config):
    pictures = [grey(number) for number in range(8)]
    if kind == "files":
        files = {f"train/{number}.png": data for number, data in enumerate(pictures)}
    else:
        files = {"data/train-00000-of-00001.parquet": parquet(pictures)}
    if config:
        files = {"large.parquet": parquet(pictures), "small.parquet": parquet(pictures[:2])}
        configs = [f"- config_name: {name}\n  data_files: {name}.parquet\n" for name in ("small", "large")]
        files["README.md"] = f"---\nconfigs:\n{''.join(configs)}---\n".encode()
    hub.add_repo("tester/pictures", files)
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", HUB_RUN, "tester/pictures", column, config],
        env=hub.env(tmp_path / "home") | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    whole, rest = json.loads(done.stdout)
    assert sorted(whole[:8]) == sorted(whole[8:]) == list(range(8))
    assert rest == whole[6:]
    suffix = ".png" if kind == "files" else ".parquet"
    assert any(asked["method"] == "GET" and asked["path"].endswith(suffix) for asked in hub.requests)
