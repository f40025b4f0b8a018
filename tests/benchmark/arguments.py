"""Values of the command lines."""

import argparse


def positive(text: str) -> int:
    """A whole number from 1 up; everything else ends the program with a sentence, through argparse."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)
