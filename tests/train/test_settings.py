"""The options and presets of the training."""

import pytest

from tests.train.runs import settings
from train import settings as train_settings
from train.initialisation import INITIALISATIONS
from train.settings import OPTIMIZERS, parse_args


def refused(capsys, *options: str) -> str:
    """The sentence with which the command refuses its options; a line of usage stands before it."""
    with pytest.raises(SystemExit) as raised:
        parse_args(list(options))
    assert raised.value.code == 2
    usage, sentence = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: python -m train.train_glcic ")
    return sentence


@pytest.mark.parametrize("preset", [path.stem for path in train_settings.PRESETS_DIR.glob("*.toml")])
def test_every_preset_is_complete(preset):
    args = settings("--preset", preset)
    optional = {"resume_from_checkpoint", "pretrained_model_name_or_path", "validation_data_dir", "validation_steps"}
    optional |= {"dataset_name", "dataset_config_name", "data_files"}
    assert not [name for name, value in vars(args).items() if value is None and name not in optional]
    assert args.init in INITIALISATIONS
    assert args.optimizer in OPTIMIZERS
    assert args.completion_steps + args.discriminator_steps <= args.max_train_steps


PAPER = {
    "base_channels": 64,
    "completion_steps": 90_000,
    "discriminator_steps": 10_000,
    "max_train_steps": 500_000,
    "alpha": 0.0004,
    "r1_weight": 0,
    "train_batch_size": 96,
    "optimizer": "adadelta",
    "lr_scheduler": "constant",
    "ema_decay": 0,
    "mixed_precision": "no",
    "hole_margin": 0,
    "free_form_share": 0,
    "silhouette_share": 0,
    "recoloured_share": 0,
}


@pytest.mark.parametrize(
    ("preset", "numbers"),
    [
        (
            "places-256",
            PAPER
            | {"resolution": 256, "local_size": 128, "min_hole_size": 96, "max_hole_size": 128}
            | {"resize_range": [1.0, 1.5]},
        ),
        ("faces-160", PAPER | {"resolution": 160, "local_size": 96, "min_hole_size": 48, "max_hole_size": 96}),
        (
            "blog-64",
            {"resolution": 64, "local_size": 32, "min_hole_size": 15, "max_hole_size": 25, "hole_margin": 5}
            | {"alpha": 0.004, "optimizer": "adam"},
        ),
    ],
)
def test_presets_have_the_published_numbers(preset, numbers):
    args = vars(settings("--preset", preset))
    assert {name: args[name] for name in numbers} == numbers


def test_paper_is_the_default_and_the_command_line_wins():
    assert settings() == settings("--preset", "places-256")
    assert settings("--preset", "modern", "--resolution", "128").resolution == 128
    assert settings("--resize_range", "1", "2", "--preset", "modern").resize_range == [1.0, 2.0]


def test_preset_with_an_unknown_setting_is_refused(capsys, monkeypatch, tmp_path):
    text = (train_settings.PRESETS_DIR / "places-256.toml").read_text()
    (tmp_path / "places-256.toml").write_text(text)
    (tmp_path / "mine.toml").write_text(text + "\nresolutoin = 64\n")
    monkeypatch.setattr(train_settings, "PRESETS_DIR", tmp_path)
    message = refused(capsys, "--preset", "mine", "--train_data_dir", "a", "--output_dir", "b")
    assert "mine" in message
    assert "resolutoin" in message


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--preset unheard-of", "unheard-of"),
        ("--resolution large", "--resolution"),
        ("--resolution 254", "--resolution 254"),
        ("--completion_steps 11 --max_train_steps 10", "--completion_steps 11"),
        ("--max_hole_size 130", "--max_hole_size 130"),
        ("--min_hole_size 129", "--min_hole_size 129"),
        ("--hole_margin 65", "--hole_margin 65"),
        ("--local_size 260", "--local_size 260"),
        ("--train_batch_size 0", "--train_batch_size"),
        ("--logging_steps 0", "--logging_steps"),
        ("--checkpoints_total_limit 0", "--checkpoints_total_limit"),
        ("--perceptual_weight -0.5", "--perceptual_weight -0.5"),
        ("--alpha -0.1", "--alpha -0.1"),
        ("--alpha inf", "--alpha inf"),
        ("--r1_weight -1", "--r1_weight -1"),
        ("--learning_rate -1", "--learning_rate -1"),
        ("--learning_rate nan", "--learning_rate nan"),
        ("--discriminator_learning_rate -1", "--discriminator_learning_rate -1"),
        ("--ema_decay -0.1", "--ema_decay -0.1"),
        ("--ema_decay 1", "--ema_decay 1"),
        ("--min_hole_size 0", "--min_hole_size 0"),
        ("--hole_margin -1", "--hole_margin -1"),
        ("--free_form_share 1.1", "--free_form_share 1.1"),
        ("--silhouette_share 1.1", "--silhouette_share 1.1"),
        ("--free_form_share 0.6 --silhouette_share 0.5", "--free_form_share 0.6 and --silhouette_share 0.5"),
        ("--recoloured_share -0.1", "--recoloured_share -0.1"),
        ("--seed -1", "--seed -1"),
        ("--base_channels 0", "--base_channels 0"),
        ("--completion_steps -1", "--completion_steps -1"),
        ("--discriminator_steps -1", "--discriminator_steps -1"),
        ("--dataloader_num_workers -1", "--dataloader_num_workers -1"),
        ("--resize_range 0.5 1", "--resize_range must be two rising numbers from 1.0 up; got 0.5 1.0"),
        ("--resize_range 1.5 1", "--resize_range must be two rising numbers from 1.0 up; got 1.5 1.0"),
        ("--optimizer sgd", "--optimizer"),
        ("--discriminators two", "--discriminators"),
        ("--validation_steps 1000", "--validation_data_dir"),
        ("--validation_data_dir c --validation_steps 1500", "--checkpointing_steps 1000"),
        ("--dataset_name d", "--dataset_name"),
        ("--cache_on_device --cache_pictures", "--cache_on_device and --cache_pictures"),
    ],
)
def test_wrong_settings_are_refused_by_name(capsys, options, named):
    assert named in refused(capsys, "--train_data_dir", "a", "--output_dir", "b", *options.split())


def test_data_and_output_are_needed(capsys):
    assert "--train_data_dir" in refused(capsys, "--output_dir", "b")
    assert "--output_dir" in refused(capsys, "--train_data_dir", "a")


@pytest.mark.parametrize("preset", [path.stem for path in train_settings.PRESETS_DIR.glob("*.toml")])
def test_every_number_of_a_preset_gives_way_to_the_command_line(preset):
    chosen = vars(settings("--preset", preset))
    own = {"resolution": 512, "local_size": 160, "min_hole_size": 8, "max_hole_size": 100, "hole_margin": 1}
    own |= {"recoloured_share": 0.5, "silhouette_share": 0.75}
    own |= {"resize_range": [1.0, 3.0], "free_form_share": 0.25, "base_channels": 6, "init": "xavier"}
    own |= {"train_batch_size": 3, "completion_steps": 5, "discriminator_steps": 7, "max_train_steps": 99}
    own |= {
        "loss_type": "l1",
        "perceptual_weight": 0.125,
        "alpha": 0.5,
        "r1_weight": 3.0,
        "optimizer": "adam",
        "learning_rate": 0.5,
        "discriminator_learning_rate": 0.25,
    }
    own |= {"lr_scheduler": "cosine", "ema_decay": 0.5, "mixed_precision": "fp16"}
    preset_names = train_settings.tomllib.loads((train_settings.PRESETS_DIR / f"{preset}.toml").read_text()).keys()
    assert preset_names == own.keys()
    options = []
    for name, value in own.items():
        options += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    assert vars(settings("--preset", preset, *options)) == chosen | own


def test_paper_has_both_discriminators_and_none_means_the_squared_error_alone():
    assert settings().discriminators == "both"
    alone = settings("--discriminators", "none")
    assert (alone.completion_steps, alone.discriminator_steps) == (500_000, 0)
    assert settings("--discriminators", "local").completion_steps == 90_000


def test_validation_is_at_every_checkpoint_unless_said_otherwise():
    assert settings().validation_steps is None
    assert settings("--validation_data_dir", "c", "--checkpointing_steps", "30").validation_steps == 30
    assert settings("--validation_data_dir", "c", "--validation_steps", "4000").validation_steps == 4000


def test_data_come_from_one_source(capsys):
    assert parse_args(["--dataset_name", "d", "--output_dir", "b"]).dataset_name == "d"
    message = refused(capsys, "--dataset_name", "d", "--output_dir", "b", "--cache_on_device")
    assert "--cache_on_device" in message
