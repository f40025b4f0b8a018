"""Pieces of an image copied beside each other, and blended where they meet.

What differs at a seam is spread over its surroundings: the colours are solved for whose gradients are those of what was
copied. This is Poisson editing (Perez et al.: "Poisson image editing", SIGGRAPH 2003) of many pieces (Agarwala et al.:
"Interactive digital photomontage", SIGGRAPH 2004), screened: copied colours count, too.
"""

import math

import torch
from torch.nn import functional as F

from glcic_hub.filling.grids import NEIGHBOURS
from glcic_hub.filling.progress import Progress, unseen

DOUBT = 0.1
"""A difference at a seam as large as this (channels from 0 to 1) is half believed: an edge is not to be spread."""

KEPT = 0.01
"""How much a pixel's copied colour counts, against 1 for a gradient: what is spread falls to 1/e in ten pixels. Twice
and half of it measured the same."""

PRECISION = 1e-3
"""Of the solution, relative. 1e-4 measured the same."""

STEPS = 1000
"""At most, until it is as precise as that; holes of any size need less than a hundred."""

UNREPORTED = 2**23
"""Pixels times steps without a word of progress."""


class Photo:
    """What may be copied: the known pixels by number, row by row. `none` is the number of all that is not known.

    Args:
        image: float32 (3, h, w).
        known: bool (h, w).
    """

    def __init__(self, image: torch.Tensor, known: torch.Tensor):
        self.height, self.width = known.shape
        self.none, self.device, self.known = known.numel(), known.device, known
        number = torch.arange(self.none, device=self.device).view(known.shape)
        self._number = F.pad(torch.where(known, number, self.none), (1,) * 4, value=self.none)
        colours = image * known
        down = F.pad(colours.diff(dim=1) * (known[1:] & known[:-1]), (0, 0, 0, 1))
        across = F.pad(colours.diff(dim=2) * (known[:, 1:] & known[:, :-1]), (0, 1))
        self.looks = torch.zeros(self.none + 1, 9, dtype=torch.float32, device=self.device)
        """Colours and gradients, float32 (pixels + 1, 9); 0 for `none`."""
        for at, values in enumerate((colours, down, across)):
            self.looks[:-1, 3 * at : 3 * at + 3] = values.flatten(1).T
        self.colours = self.looks[:, :3].contiguous()

    def at(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The numbers of pixels."""
        places = (y + 1).clamp(0, self.height + 1) * (self.width + 2) + (x + 1).clamp(0, self.width + 1)
        return self._number.take(places)


def rows_of(table: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Rows (..., n) of a table (rows, n): `table[numbers]` in a third of the time."""
    return F.embedding(numbers, table)


def blended(
    photo: Photo,
    y: torch.Tensor,
    x: torch.Tensor,
    moves: torch.Tensor,
    guess: torch.Tensor,
    progress: Progress = unseen,
) -> torch.Tensor:
    """Colours of a hole whose pixels are copied.

    Args:
        photo: what is copied.
        y, x: the hole's pixels, int64 (n,).
        moves: from how far below and to the right each of them is copied, int64 (n, 2).
        guess: colours of those that would come from where nothing is known, float32 (n, 3).
        progress: called with the share of the work that is done, from 0 to 1, where it takes long.

    Returns:
        float32 (n, 3).
    """
    every = torch.arange(len(y), device=photo.device)
    number = torch.full((photo.height + 2, photo.width + 2), -1, device=photo.device)
    number[y + 1, x + 1] = every

    def copied(moves: torch.Tensor, step: tuple[int, int] = (0, 0)) -> tuple[torch.Tensor, torch.Tensor]:
        """The colours that come to the pixels, or to those a step beside them; and whether they are known."""
        numbers = photo.at(y + step[0] + moves[:, 0], x + step[1] + moves[:, 1])
        return rows_of(photo.colours, numbers), numbers < photo.none

    own, is_own = copied(moves)
    now = torch.where(is_own[:, None], own, guess)
    diagonal, wrong = torch.full_like(now[:, 0], KEPT), torch.zeros_like(now)
    besides, shares = [], []
    for step in NEIGHBOURS:
        beside, known = number[y + 1 + step[0], x + 1 + step[1]], photo.at(y + step[0], x + step[1])
        is_hole = beside >= 0
        next_now = torch.where(is_hole[:, None], now[beside], rows_of(photo.colours, known))
        next_own, is_next_own = copied(moves, step)
        theirs, is_theirs = copied(moves[beside])
        next_theirs, is_next_theirs = copied(moves[beside], step)
        is_mine, is_other = is_own & is_next_own, is_hole & is_theirs & is_next_theirs
        mine = own - next_own
        differ = torch.where((is_mine & is_other)[:, None], mine - (theirs - next_theirs), 0)
        gradient = torch.where(is_mine[:, None], mine, theirs - next_theirs) - differ / 2
        doubtful = torch.where(is_hole[:, None], differ, next_now - next_own)
        is_given = torch.where(is_hole, is_mine | is_other, is_mine & (known < photo.none))
        weights = is_given / (1 + doubtful.square().mean(1) / DOUBT**2)
        wrong += weights[:, None] * (gradient - (now - next_now))
        diagonal += weights
        besides.append(beside.clamp(min=0))
        shares.append(torch.where(is_hole, weights, 0)[:, None])
    return now + _solved(diagonal[:, None], torch.stack(besides), torch.stack(shares), wrong, progress)


def _solved(
    diagonal: torch.Tensor, besides: torch.Tensor, shares: torch.Tensor, wanted: torch.Tensor, progress: Progress
) -> torch.Tensor:
    """Solve a system for each column of `wanted` (n, 3) by conjugate gradients.

    Besides its number in `diagonal` (n, 1), a row has the negative of its `shares` (4, n, 1) in the columns `besides`
    (4, n).
    """
    result, rest, direction = torch.zeros_like(wanted), wanted.clone(), wanted.clone()
    squares = rest.square().sum(0)
    enough, done = PRECISION**2 * squares, 0.0
    for number in range(STEPS):
        if not (squares > enough).any():
            break
        if number % max(1, UNREPORTED // len(wanted)) == 0 < number:
            left = (squares / enough.clamp(min=1e-30)).max()  # falls by about the same factor each time
            done = max(done, 1 + math.log(float(left)) / (2 * math.log(PRECISION)))
            progress(done)
        image = diagonal * direction - (shares * rows_of(direction, besides)).sum(0)
        step = squares / (direction * image).sum(0).clamp(min=1e-30)  # a column that is 0 stays so
        result += step * direction
        rest -= step * image
        former, squares = squares, rest.square().sum(0)
        direction = rest + squares / former.clamp(min=1e-30) * direction
    return result
