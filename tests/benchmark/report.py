"""The record of a run (what the JSON file holds) as tables of text."""

from tests.benchmark import batch, startup, training

NAME_WIDTH = 30


def tables(record: dict) -> str:
    """All parts that the record has, one below the other."""
    machine = record["machine"]
    bf16 = "" if machine["bf16_in_hardware"] else "no "
    blocks = [
        f"{machine['processor']}, {machine['threads']} of {machine['cores']} cores, {bf16}bf16 in hardware, "
        f"torch {machine['versions']['torch']}, weights {machine['model']}, {machine['date']}"
    ]
    makers = {"speed": _speed, "compiled": _speed, "memory": _memory, "seam": _seam}
    makers |= {"startup": startup.table, "batch": batch.table, "training": training.table}
    blocks += [make(record[part]) for part, make in makers.items() if part in record]
    if record["left_out"]:
        blocks.append("Left out:\n" + "\n".join(f"  {sentence}" for sentence in record["left_out"]))
    return "\n\n".join(blocks)


def _speed(rows: list[dict]) -> str:
    """A block for each photo: contestants down, holes across; seconds and the ratio to the block's reference."""
    blocks = []
    for photo in dict.fromkeys(row["photo"] for row in rows):
        own = [row for row in rows if row["photo"] == photo]
        holes = sorted({row["hole"] for row in own if row["hole"] is not None})
        references = [name for row in own for name in row["ratio_to"]]
        reference = references[0] if references else None
        told = f"; in brackets: times as long as {reference}" if reference else ""
        head = f"{f'{photo} x {photo} px':{NAME_WIDTH}}" + "".join(f"{f'hole {hole}':>18}" for hole in holes)
        lines = [f"Seconds for one photo{told}", head]
        for name in dict.fromkeys(row["contestant"] for row in own):
            cells = {row["hole"]: row for row in own if row["contestant"] == name}
            shown = [_cell(cells.get(hole, cells.get(None)), reference) for hole in holes]
            lines.append(f"{name:{NAME_WIDTH}}" + "".join(f"{text:>18}" for text in shown))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _cell(row: dict | None, reference: str | None) -> str:
    if row is None:
        return "-"
    ratio = row["ratio_to"].get(reference)
    return f"{row['median_seconds']:.3g}" + ("" if ratio is None else f" ({ratio:.2g})")


def _memory(rows: list[dict]) -> str:
    """Contestants down, photos across: MB above the photo."""
    photos = dict.fromkeys((row["width"], row["height"], row["hole"]) for row in rows)
    head = f"{'':{NAME_WIDTH}}" + "".join(f"{f'{width}x{height}/{hole}':>16}" for width, height, hole in photos)
    lines = ["Memory in MB above the photo itself, for photos of width x height / hole", head]
    for name in dict.fromkeys(row["contestant"] for row in rows):
        found = {(r["width"], r["height"], r["hole"]): r["above_photo_mb"] for r in rows if r["contestant"] == name}
        cells = [f"{found[photo]:16.0f}" if photo in found else f"{'-':>16}" for photo in photos]
        lines.append(f"{name:{NAME_WIDTH}}" + "".join(cells))
    return "\n".join(lines)


def _seam(seam: dict) -> str:
    count = len(seam["pictures"]) * seam["holes_per_picture"]
    low, high = seam["hole_sides"]
    lines = [f"Visibility of the seam, in levels of 255 (0: as its surroundings); {count} holes of {low} to {high} px"]
    lines += [f"{way:{NAME_WIDTH}}{value:10.2f}" for way, value in seam["visibility"].items()]
    return "\n".join(lines)
