"""Arrays and tensors of every kind and memory layout, right and wrong ones, through `GLCICPipeline`."""

import functools
import warnings
from collections.abc import Callable
from random import Random

import numpy as np
import torch

from glcic_hub import GLCICPipeline
from glcic_hub.model import GLCICModel
from tests.hostile.commands import deadline

WHITE = {"bool": 1, "uint8": 255, "uint16": 65535}
DTYPES = (*WHITE, "float16", "float32", "float64")
Layout = Callable[[np.ndarray], np.ndarray]


@functools.cache
def pipeline() -> GLCICPipeline:
    """With a small model that was not trained."""
    pipe = GLCICPipeline(GLCICModel(base_channels=4, sample_size=64, max_hole_size=32).eval())
    pipe.set_progress_bar_config(disable=True)
    return pipe


def reversed_axes(array: np.ndarray) -> np.ndarray:
    """Negative strides."""
    turn = (slice(None, None, -1),) * array.ndim
    return np.ascontiguousarray(array[turn])[turn]


def every_second(array: np.ndarray) -> np.ndarray:
    """Gaps between the samples, with values in them that are wrong."""
    wide = np.full([2 * side for side in array.shape], 77, array.dtype)
    wide[(slice(None, None, 2),) * array.ndim] = array
    return wide[(slice(None, None, 2),) * array.ndim]


def read_only(array: np.ndarray) -> np.ndarray:
    """As out of a file that is mapped."""
    array = array.copy()
    array.setflags(write=False)
    return array


def unaligned(array: np.ndarray) -> np.ndarray:
    """Samples that begin at odd addresses."""
    return np.frombuffer(b"x" + array.tobytes(), np.uint8)[1:].view(array.dtype).reshape(array.shape)


ARRAY_LAYOUTS: tuple[Layout, ...] = (
    np.array,
    reversed_axes,
    every_second,
    read_only,
    unaligned,
    np.asfortranarray,
    lambda array: array.astype(array.dtype.newbyteorder(">")),
    lambda array: np.rot90(np.rot90(array, -1).copy()),
)


def negative_bit(tensor: torch.Tensor) -> torch.Tensor:
    """A view that PyTorch negates when it is read."""
    return torch.complex(torch.zeros_like(tensor), -tensor).conj().imag


TENSOR_LAYOUTS: tuple[Callable[[torch.Tensor], torch.Tensor], ...] = (
    torch.clone,
    lambda tensor: tensor.mT.contiguous().mT,
    lambda tensor: torch.stack([tensor, tensor], dim=-1)[..., 1],
    lambda tensor: torch.cat([tensor, tensor])[len(tensor) :],
    lambda tensor: tensor.clone().requires_grad_() if tensor.is_floating_point() else tensor,
    lambda tensor: negative_bit(tensor) if tensor.dtype in (torch.float32, torch.float64) else tensor,
    lambda tensor: torch.nn.Parameter(tensor, requires_grad=False),
)


def array_case(rng: Random, is_tensor: bool) -> str:
    """One picture and its mask: completed around the known values bit for bit, or refused by name."""
    values = picture_values(rng)
    height, width = values.shape[:2]
    hole = np.zeros((height, width), bool)
    top, left = rng.randrange(height), rng.randrange(width)
    hole[top : top + rng.randrange(0, 7), left : left + rng.randrange(0, 7)] = True
    mask_values = hole if rng.random() < 0.5 else hole.astype(rng.choice(("uint8", "int64", "float32", "float64")))
    if is_tensor:
        photo = rng.choice(TENSOR_LAYOUTS)(torch.from_numpy(np.moveaxis(values, -1, 0).copy()))
        mask = rng.choice(TENSOR_LAYOUTS)(torch.from_numpy(mask_values.copy()))
    else:
        photo, mask = rng.choice(ARRAY_LAYOUTS)(values), rng.choice(ARRAY_LAYOUTS)(mask_values)
    refused_for = {"no": hole.all() and "mask", "picture": "image", "mask": "mask"}[
        wrong := rng.choice(("no", "no", "picture", "mask"))
    ]
    if wrong == "picture":
        photo = (wrong_tensor if is_tensor else wrong_array)(rng, photo)
    elif wrong == "mask":
        mask = (wrong_tensor if is_tensor else wrong_array)(rng, mask)
    output_type = rng.choice(("np", "pt", "pil"))
    before = [copy_of(photo), copy_of(mask)]
    try:
        with deadline(), warnings.catch_warnings():
            warnings.simplefilter("error")
            blend = rng.choice(("poisson", "fading", None))
            result = pipeline()(photo, mask, output_type=output_type, blend=blend).images
    except FileNotFoundError as error:
        assert "no file of this name" in str(error)
        ending = type(error).__name__
    except (TypeError, ValueError) as error:
        assert refused_for and refused_for in str(error) and "\n" not in str(error), f"{refused_for}: {error!r}"
        ending = type(error).__name__
    else:
        assert not refused_for, f"a wrong {refused_for} was completed"
        assert_known(result, output_type, values, hole)
        ending = "completed"
    for given, copy in zip((photo, mask), before):
        assert_untouched(given, copy)
    return ending


def picture_values(rng: Random) -> np.ndarray:
    """(H, W, 1|3|4) of one of the dtypes, with the extreme values among them."""
    shape = rng.choice((1, 2, 5, 16, 23)), rng.choice((1, 3, 8, 21)), rng.choice((1, 3, 4))
    dtype = rng.choice(DTYPES)
    random = np.random.default_rng(rng.getrandbits(32))
    if dtype in WHITE:
        return random.integers(0, WHITE[dtype], shape, endpoint=True).astype(dtype)
    values = random.random(shape).astype(dtype)
    values.flat[0] = rng.choice((0, -0.0, 1, np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal))
    return values


def wrong_array(rng: Random, array: np.ndarray) -> object:
    """The same with one thing that is wrong for pictures and masks alike."""
    plain = np.array(array)
    return rng.choice(
        (
            lambda: plain[:0],
            lambda: plain[:, :0],
            lambda: plain.ravel(),
            lambda: plain[0, 0],
            lambda: np.stack([plain] * 2, axis=-1) if plain.ndim == 3 else np.stack([plain] * 5, axis=-1),
            lambda: with_value(rng, plain, (np.nan, np.inf, -np.inf, -1e-3, 1.001, 255, 1e300)),
            lambda: plain.astype(np.complex64),
            lambda: plain.astype(object),
            lambda: plain.astype(str),
            lambda: plain.astype("datetime64[s]") if plain.dtype.kind in "iu" else plain.astype("S3"),
            lambda: plain.astype(np.int32) - 1000,
            lambda: plain.tobytes(),
            lambda: None,
            lambda: [],
            lambda: {"array": plain},
            lambda: 5,
            lambda: [plain, plain.ravel()],
        )
    )()


def wrong_tensor(rng: Random, tensor: torch.Tensor) -> object:
    """The same with one thing that is wrong for pictures and masks alike."""
    plain = tensor.detach().clone()
    return rng.choice(
        (
            lambda: plain[..., :0],
            lambda: plain.flatten(),
            lambda: plain.flatten()[0],
            lambda: plain.flatten()[0].expand(2, 5, 5),
            lambda: torch.from_numpy(with_value(rng, plain.numpy(), (np.nan, np.inf, -1e-3, 1.001, 255, 1e300))),
            lambda: plain.to(torch.complex64),
            lambda: plain.to(torch.int32) - 1000,
            lambda: plain.float().to_sparse(),
            lambda: plain.to("meta"),
            lambda: plain.float().to(torch.float8_e4m3fn),
            lambda: plain.tolist() if plain.ndim == 2 and len(plain) > 1 else "no file of this name",
        )
    )()


def with_value(rng: Random, array: np.ndarray, values: tuple) -> np.ndarray:
    """Floats, one of which is one that must not be there."""
    array = array.astype(np.float64)
    array.flat[rng.randrange(array.size)] = rng.choice(values)
    return array


def copy_of(value: object) -> bytes | None:
    """What an array or tensor holds, None for anything without."""
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided or value.device.type != "cpu" or value.dtype == torch.float8_e4m3fn:
            return None
        value = value.numpy(force=True)
    return value.tobytes() if isinstance(value, np.ndarray) and value.dtype != object else None


def assert_untouched(given: object, copy: bytes | None) -> None:
    """Completing changes nothing of what came in."""
    assert copy is None or copy_of(given) == copy


def assert_known(result: object, output_type: str, values: np.ndarray, hole: np.ndarray) -> None:
    """Outside the hole they are the values that came in."""
    if output_type == "pil":
        if values.dtype not in (bool, np.uint8):
            return
        ours = np.asarray(result[0]).reshape(values.shape)
        theirs = values.astype(np.uint8) * (255 if values.dtype == bool else 1)
    else:
        ours = result[0] if output_type == "np" else result[0].permute(1, 2, 0).numpy()
        white = WHITE.get(values.dtype.name)
        theirs = values if white is None else values.astype(np.float32) / np.float32(white)
        theirs = np.broadcast_to(theirs[..., :3], ours.shape)
        assert np.isfinite(ours).all() and ours.min() >= 0 and ours.max() <= 1
        assert output_type == "pt" or ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours[~hole], theirs[~hole])
