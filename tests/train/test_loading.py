import json

import pytest
import torch
from PIL import Image

from train.dataset import TrainingCrops, find_pictures
from train.loading import Batch, Damaged, DamageReport, load_batches, merged


def batch_of(size: int, damaged: list[str]) -> Batch:
    return Batch(torch.zeros(size, 3, 4, 4), [Damaged(name, f"cannot read {name}") for name in damaged])


def test_processes_share_the_samples_of_each_step(tmp_path):
    for number in range(10):
        Image.new("RGB", (24, 20), (10 * number,) * 3).save(tmp_path / f"{number}.png")
    crops = TrainingCrops(find_pictures([tmp_path]), 8, (1.0, 1.5), 36, 0)
    expected = [crops[n] for n in range(36)]
    for first_step in (0, 2):
        processes = [list(load_batches(crops, 4, first_step=first_step, rank=rank, world=3)) for rank in range(3)]
        assert [len(batches) for batches in processes] == [3 - first_step] * 3
        for rank, batches in enumerate(processes):
            for step, batch in enumerate(batches, start=first_step):
                samples = [12 * step + 3 * place + rank for place in range(4)]
                assert torch.equal(batch.images, torch.stack([expected[n] for n in samples]))
                assert batch.damaged == []


def test_finished_run_has_no_batches(tmp_path):
    Image.new("RGB", (24, 20)).save(tmp_path / "x.png")
    crops = TrainingCrops(find_pictures([tmp_path]), 8, (1.0, 1.5), 8, 0)
    assert list(load_batches(crops, 2, first_step=4, rank=0, world=1)) == []
    assert list(load_batches(crops, 2, first_step=5, rank=0, world=1)) == []


def test_report_counts_and_keeps_the_first_names():
    report = DamageReport()
    for number in range(30):
        report.add(batch_of(8, [f"{number}.png", f"{number // 2}.png"]))
    assert report.count == 60
    assert report.names == [f"{number}.png" for number in range(20)]


def test_report_names_each_picture_when_it_is_met_for_the_first_time(capsys):
    report = DamageReport()
    for names in (["a.png", "b.png"], ["b.png"], ["a.png", "c.png"]):
        report.add(batch_of(2, names))
    said = [line.rsplit(" ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert said == ["a.png", "b.png", "c.png"]


def test_of_many_damaged_pictures_each_is_named_once_also_after_a_resume(capsys):
    report, names = DamageReport(), [f"{number}.png" for number in range(25)]
    for _ in range(3):
        report.add(batch_of(30, names))
    assert len(capsys.readouterr().err.splitlines()) == 25
    resumed = DamageReport()
    resumed.load_state_dict(report.state_dict())
    for _ in range(3):
        resumed.add(batch_of(30, names))
    assert len(capsys.readouterr().err.splitlines()) == 5  # those whose names a checkpoint does not keep


def test_reports_of_several_processes_are_added_and_a_resume_counts_nothing_twice():
    names = [["a.png", "b.png"], ["b.png"], [], [*(f"{number}.png" for number in range(30))]]
    reports = [DamageReport() for _ in names]
    for _ in range(2):  # the second time as resumed processes
        for report, met in zip(reports, names):
            report.add(batch_of(9, met))
        together = json.loads(json.dumps(merged([report.state_dict() for report in reports])))
        reports = [DamageReport() for _ in names]
        for rank, report in enumerate(reports):
            report.load_state_dict(together, rank)
    assert (together["count"], together["tried"]) == (2 * 33, 2 * (33 + 4 * 9))
    assert together["names"] == ["a.png", "b.png", *(f"{number}.png" for number in range(18))]
    assert merged([together]) == together
    assert not together["checked"]


@pytest.mark.parametrize(("damaged_of_ten", "stops"), [(5, False), (6, True)])
def test_more_than_half_of_the_first_hundred_stop_the_run(damaged_of_ten, stops):
    report = DamageReport()
    batch = batch_of(10 - damaged_of_ten, [f"{number}.png" for number in range(damaged_of_ten)])
    for _ in range(9):
        report.add(batch)
    if stops:
        with pytest.raises(OSError, match=r"60 of the first 100 pictures cannot be read, among them 0\.png, 1\.png, 2"):
            report.add(batch)
    else:
        report.add(batch)
        report.add(batch_of(0, [f"{number}.png" for number in range(50)]))  # later than the first hundred


def test_report_goes_on_from_a_checkpoint():
    whole, first, second = DamageReport(), DamageReport(), DamageReport()
    batches = [batch_of(3, [f"{number}.png"]) for number in range(40)]
    for batch in batches:
        whole.add(batch)
    for batch in batches[:10]:
        first.add(batch)
    second.load_state_dict(first.state_dict())
    first.add(batches[0])  # no longer of influence
    for batch in batches[10:]:
        second.add(batch)
    assert second.state_dict() == whole.state_dict()
    assert whole.checked
