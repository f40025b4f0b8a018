"""Which photo with which mask into which file."""

import unicodedata
from pathlib import Path

import pytest

from glcic_hub.batch.plan import Share, make_plan, share_of
from glcic_hub.errors import WrongUse
from tests.batch.conftest import make_tar


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("")


def plan(
    photos="photos",
    masks="masks",
    out="out",
    suffix=".png",
    force=False,
    share=Share(),  # noqa: B008
    mask_name=None,
):
    photos, masks = ([Path(word) for word in words.split()] if words else None for words in (photos, masks))
    return make_plan(photos, masks, Path(out), suffix, force, share, mask_name)


def triples(made) -> list[tuple[str, str | None, str]]:
    return [(str(job.photo.path), job.mask and str(job.mask.path), str(job.out)) for job in made.jobs]


def test_masks_have_the_names_of_photos_sub_folders_included(here):
    touch("photos/a.jpg", "photos/sub/a.v2.webp", "masks/a.png", "masks/sub/a.v2.tif", "masks/unused.png")
    assert triples(plan()) == [
        ("photos/a.jpg", "masks/a.png", "out/a.png"),
        ("photos/sub/a.v2.webp", "masks/sub/a.v2.tif", "out/sub/a.v2.png"),
    ]


def test_letters_with_accents_match_however_they_are_written(here):
    one, other = (unicodedata.normalize(form, "photos/é 图.jpg") for form in ("NFC", "NFD"))
    assert one != other
    touch(one, other.replace("photos", "masks"))
    assert triples(plan()) == [(one, other.replace("photos", "masks"), one.replace("photos", "out")[:-3] + "png")]


def test_a_photo_without_mask_is_a_problem(here):
    touch("photos/a.jpg", "photos/sub/b.jpg", "masks/a.png", "masks/b.png")
    made = plan()
    assert [job.photo.name for job in made.jobs] == ["a.jpg"]
    assert made.problems == [("photos/sub/b.jpg", "there is no mask for it: 'sub/b.*' is not in 'masks'")]


def test_one_mask_for_all_and_none_at_all(here):
    touch("photos/a.jpg", "photos/b.jpg", "mask.PNG")
    assert [job.mask.path for job in plan(masks="mask.PNG").jobs] == [Path("mask.PNG")] * 2
    assert [job.mask for job in plan(masks="").jobs] == [None] * 2


def test_tar_files_and_folders_go_together(here):
    touch("photos/a.jpg", "photos/sub/b.jpg", "photos/c.jpg", "masks/a.png", "masks/sub/b.png")
    make_tar(Path("1.tar"), here / "photos", ["sub/b.jpg"])
    make_tar(Path("masks.tar"), here / "masks", ["a.png", "sub/b.png"])
    Path("photos/sub/b.jpg").unlink()
    Path("photos/c.jpg").unlink()
    assert triples(plan("photos 1.tar", "masks.tar")) == [
        ("photos/a.jpg", "masks.tar", "out/a.png"),
        ("1.tar", "masks.tar", "out/sub/b.png"),
    ]


def test_what_is_done_is_left_out_unless_forced(here):
    touch("photos/a.jpg", "photos/b.jpg", "photos/c.jpg", "mask.png", "out/b.png", "out/c.webp")
    made = plan(masks="mask.png")
    assert [job.photo.name for job in made.jobs] == ["a.jpg", "c.jpg"] and made.done == 1
    made = plan(masks="mask.png", force=True)
    assert [job.photo.name for job in made.jobs] == ["a.jpg", "b.jpg", "c.jpg"] and made.done == 0


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_are_all_pictures_once_whatever_is_done(here, count):
    touch(*(f"photos/{index}.jpg" for index in range(5)), "mask.png")
    parts = [[job.photo.name for job in plan(masks="mask.png", share=Share(0, count)).jobs]]
    touch("out/0.png")  # between the starts of two of them
    parts += [[job.photo.name for job in plan(masks="mask.png", share=Share(i, count)).jobs] for i in range(1, count)]
    assert sorted(sum(parts, [])) == [f"{index}.jpg" for index in range(5)]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_what_cannot_be_listed_is_told_by_the_first_alone(here):
    touch("photos/a.jpg", "photos/b.jpg", "mask.png")
    shard = make_tar(Path("1.tar"), here / "photos", ["a.jpg", "b.jpg"])
    shard.write_bytes(shard.read_bytes()[:1024])
    problems = [plan("1.tar", "mask.png", share=Share(rank, 2)).problems for rank in (0, 1)]
    assert [len(part) for part in problems] == [1, 0]


@pytest.mark.parametrize(
    ("files", "arguments", "message"),
    [
        (["photos/a.txt"], {}, "there is no image in 'photos'"),
        (["photos/1.tar"], {}, r"name the tar files themselves: photos/\*\.tar"),
        (
            ["photos/a.jpg", "photos/a.png"],
            {},
            "'photos/a.jpg' and 'photos/a.png' would both be written to 'out/a.png'",
        ),
        (["photos/a.jpg", "masks/a.bmp", "masks/a.png"], {}, "'masks/a.bmp' and 'masks/a.png' are masks of the same"),
        (["photos/a.jpg"], {"out": "photos"}, "'photos' is inside 'photos', which is read"),
        (["photos/a.jpg"], {"out": "photos/new/out"}, "'photos/new/out' is inside 'photos', which is read"),
        (["photos/a.jpg"], {"out": "masks/out"}, "'masks/out' is inside 'masks', which is read"),
        (["photos/a.jpg", "more/a.png", "mask.png"], {"photos": "photos more"}, "would both be written"),
        (["out/sub/a.png", "mask.png"], {"photos": "out/sub", "out": "out/link"}, "is inside 'out/sub'"),
        (["photos/photos/a.png", "photos/a.jpg"], {"out": "x/../photos"}, "which is read"),
        (["photos/a.jpg"], {"masks": "nowhere"}, "cannot read 'nowhere': No such file"),
        (["photos/a.jpg"], {"photos": "nowhere"}, "cannot read 'nowhere': No such file"),
        (["photos/a.jpg"], {"photos": "n" * 300}, "File name too long"),
        (["photos/a.txt"], {"photos": "photos/a.txt"}, "neither a folder nor an uncompressed tar file"),
    ],
)
def test_wrong_use(here, files, arguments, message):
    touch("masks/unused.png", *files)
    Path("out").mkdir(exist_ok=True)
    if arguments.get("out") == "out/link":
        Path("out/link").symlink_to(here / "out" / "sub")
    with pytest.raises(WrongUse, match=message):
        plan(**arguments)


@pytest.mark.parametrize("force", [False, True])
def test_no_input_is_written_over_whatever_links_there_are(here, force):
    touch("photos/a.png", "mask.png")
    Path("out").mkdir()
    Path("out/a.png").symlink_to(here / "photos" / "a.png")
    with pytest.raises(WrongUse, match="would be written over an input"):
        plan(masks="mask.png", force=force)
    touch("above/sub/above/sub/a.png", "above/a.png")
    assert plan("above/sub", "mask.png", "above").jobs
    touch("above/sub/x/y.png", "above/sub/sub/x/y.png")
    with pytest.raises(WrongUse, match="'above/sub/x/y.png' would be written over an input"):
        plan("above/sub", "mask.png", "above", force=force)


def test_shares_come_from_the_environment():
    assert share_of({}) == share_of({"RANK": "1"}) == share_of({"WORLD_SIZE": "4"}) == Share(0, 1, 0)
    assert share_of({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}) == Share(5, 8, 1)
    for rank, world in (("2", "2"), ("-1", "2"), ("one", "2"), ("0", "")):
        with pytest.raises(WrongUse, match=f"RANK={rank}, WORLD_SIZE={world}"):
            share_of({"RANK": rank, "WORLD_SIZE": world})


def test_masks_of_another_name(here):
    touch("photos/a.jpg", "photos/sub/b.v2.webp", "masks/a_mask.png", "masks/a.png", "masks/sub/b.v2_mask.png")
    assert triples(plan(mask_name="{stem}_mask.png")) == [
        ("photos/a.jpg", "masks/a_mask.png", "out/a.png"),
        ("photos/sub/b.v2.webp", "masks/sub/b.v2_mask.png", "out/sub/b.v2.png"),
    ]


def test_masks_beside_the_photos_are_no_photos(here):
    touch("photos/a.jpg", "photos/a_mask.png", "photos/sub/b.png", "photos/sub/b_mask.png", "photos/c.jpg")
    made = plan(masks="", mask_name="{stem}_mask.png")
    assert triples(made) == [
        ("photos/a.jpg", "photos/a_mask.png", "out/a.png"),
        ("photos/sub/b.png", "photos/sub/b_mask.png", "out/sub/b.png"),
    ]
    assert made.problems == [("photos/c.jpg", "there is no mask for it: 'c_mask.png' is not in 'photos'")]


def test_masks_in_a_folder_beside_the_photos(here):
    touch("photos/a.jpg", "photos/masks/a.png", "photos/sub/b.jpg", "photos/sub/masks/b.png")
    assert triples(plan(masks="", mask_name="masks/{stem}.png")) == [
        ("photos/a.jpg", "photos/masks/a.png", "out/a.png"),
        ("photos/sub/b.jpg", "photos/sub/masks/b.png", "out/sub/b.png"),
    ]


def test_masks_of_another_name_in_tar_files_and_with_accents(here):
    touch("photos/é.jpg", unicodedata.normalize("NFD", "photos/é-m.png"))
    make_tar(Path("1.tar"), here, ["photos/é.jpg", unicodedata.normalize("NFD", "photos/é-m.png")])
    (job,) = plan("1.tar", masks="", mask_name="{stem}-m.png").jobs
    assert (job.photo.name, unicodedata.normalize("NFC", job.mask.name)) == ("photos/é.jpg", "photos/é-m.png")


@pytest.mark.parametrize(
    ("masks", "pattern"), [("masks", "mask.png"), ("masks", "{name}.png"), ("m.png", "{stem}.png")]
)
def test_patterns_that_name_no_mask(here, masks, pattern):
    touch("photos/a.jpg", "masks/a.png", "m.png")
    with pytest.raises(WrongUse, match="{stem}"):
        plan(masks=masks, mask_name=pattern)
