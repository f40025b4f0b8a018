"""Every source of training data, through short runs."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from tests.train.runs import completion_weights, run
from train.sources import public_name

RECORD = "training.json"


def test_pictures_on_the_device_are_the_same_ones(whole_run, tiny_pictures, tmp_path):
    run(tiny_pictures, tmp_path / "run", "--cache_on_device")
    record = json.loads((tmp_path / "run" / RECORD).read_text())
    assert (record["pictures"], record["crops"]) == (3, 14)
    sheets = [np.asarray(Image.open(folder / "samples" / "0000007.png")) for folder in (whole_run, tmp_path / "run")]
    truths = [sheet[32:].astype(int) for sheet in sheets]
    assert np.abs(truths[0] - truths[1]).max() <= 2
    assert completion_weights(tmp_path / "run", 7).keys() == completion_weights(whole_run, 7).keys()


@pytest.mark.parametrize("option", [[], ["--cache_on_device"], ["--dataloader_num_workers", "1"]])
def test_damaged_pictures_are_counted_named_and_remembered(tiny_pictures, tmp_path, capsys, option):
    data = shutil.copytree(tiny_pictures, tmp_path / "data")
    (data / "torn.png").write_bytes((data / "coffee.png").read_bytes()[:500])
    run(data, tmp_path / "run", *option, "--max_train_steps", "4")
    assert capsys.readouterr().err.count("another picture is taken instead: cannot read the image torn.png") == 1
    damaged = json.loads((tmp_path / "run" / RECORD).read_text())["damaged"]
    assert damaged["names"] == ["torn.png"] and damaged["count"] >= 1
    run(data, tmp_path / "run", *option, "--resume_from_checkpoint", "latest")
    again = json.loads((tmp_path / "run" / RECORD).read_text())["damaged"]
    assert again["names"] == ["torn.png"]
    assert again["count"] > damaged["count"] or option == ["--cache_on_device"]


def test_pictures_on_the_device_are_counted_once_and_their_share_is_of_all_of_them(tiny_pictures, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for number in range(200):  # 40 % are damaged, which is less than half
        whole = (tiny_pictures / "coffee.png").read_bytes()
        (data / f"{number:03d}.png").write_bytes(whole if number % 5 < 3 else whole[:500])
    options = ("--cache_on_device", "--train_batch_size", "8", "--checkpointing_steps", "99")
    run(data, tmp_path / "run", *options, "--max_train_steps", "14")  # beyond the first 100 pictures
    run(data, tmp_path / "run", *options, "--resume_from_checkpoint", "latest")
    damaged = json.loads((tmp_path / "run" / RECORD).read_text())["damaged"]
    assert damaged["count"] == 80
    assert damaged["names"] == [f"{number:03d}.png" for number in range(200) if number % 5 >= 3][:20]


def test_streamed_dataset_trains_and_resumes_exactly(tiny_pictures, tmp_path):
    pytest.importorskip("datasets", reason="streams need the datasets library")
    options = ("--dataset_name", str(tiny_pictures))
    whole = run(None, tmp_path / "whole", *options)
    shutil.copytree(whole / "checkpoint-4", tmp_path / "run" / "checkpoint-4")
    run(None, tmp_path / "run", *options, "--resume_from_checkpoint", "latest")
    one, other = (completion_weights(folder, 7) for folder in (whole, tmp_path / "run"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    record = json.loads((whole / RECORD).read_text())
    assert record["pictures"] is None
    assert record["data"] == [record["settings"]["dataset_name"]] == [tiny_pictures.name]
    assert str(tiny_pictures.parent) not in json.dumps(record)


def test_public_name_has_no_folders_of_this_machine(tmp_path, monkeypatch):
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    names = ["runs/mine", "runs/mine/", str(tmp_path / "runs" / "mine"), "someone/photos", "glcic-scenes"]
    assert [public_name(name) for name in names] == ["mine", "mine", "mine", "someone/photos", "glcic-scenes"]
    monkeypatch.chdir("runs/mine")
    assert public_name(".") == "mine"
