"""Every source of training data, through short runs."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from tests.train.runs import completion_weights, run

RECORD = "training.json"


def test_pictures_on_the_device_are_the_same_ones(whole_run, tiny_pictures, tmp_path):
    run(tiny_pictures, tmp_path / "run", "--cache_on_device")
    record = json.loads((tmp_path / "run" / RECORD).read_text())
    assert (record["pictures"], record["crops"]) == (3, 14)
    sheets = [np.asarray(Image.open(folder / "samples" / "0000007.png")) for folder in (whole_run, tmp_path / "run")]
    truths = [sheet[32:].astype(int) for sheet in sheets]
    assert np.abs(truths[0] - truths[1]).mean() < 2  # a picture is reduced before it is kept
    assert completion_weights(tmp_path / "run", 7).keys() == completion_weights(whole_run, 7).keys()


@pytest.mark.parametrize("option", [[], ["--cache_on_device"], ["--dataloader_num_workers", "1"]])
def test_damaged_pictures_are_counted_named_and_remembered(tiny_pictures, tmp_path, capsys, option):
    data = shutil.copytree(tiny_pictures, tmp_path / "data")
    (data / "torn.png").write_bytes((data / "coffee.png").read_bytes()[:500])
    run(data, tmp_path / "run", *option, "--max_train_steps", "4")
    assert capsys.readouterr().err.count("another picture is taken instead: cannot read the picture torn.png") == 1
    damaged = json.loads((tmp_path / "run" / RECORD).read_text())["damaged"]
    assert damaged["names"] == ["torn.png"] and damaged["count"] >= 1
    run(data, tmp_path / "run", *option, "--resume_from_checkpoint", "latest")
    again = json.loads((tmp_path / "run" / RECORD).read_text())["damaged"]
    assert again["names"] == ["torn.png"]
    assert again["count"] > damaged["count"] or option == ["--cache_on_device"]


def test_streamed_dataset_trains_and_resumes_exactly(tiny_pictures, tmp_path):
    pytest.importorskip("datasets", reason="streams need the datasets library")
    options = ("--dataset_name", str(tiny_pictures))
    whole = run(None, tmp_path / "whole", *options)
    shutil.copytree(whole / "checkpoint-4", tmp_path / "run" / "checkpoint-4")
    run(None, tmp_path / "run", *options, "--resume_from_checkpoint", "latest")
    one, other = (completion_weights(folder, 7) for folder in (whole, tmp_path / "run"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert json.loads((whole / RECORD).read_text())["pictures"] is None
