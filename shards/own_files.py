"""Tell the files that Localise.py made from those of the user: the latter are never overwritten.

    check_targets(names, out, [".csv", ".html", ".png"])     # before any work; BadInput names what would be lost
    is_ours("localised/talk.mp4")                            # no recording, though a player plays it
"""
import re
from pathlib import Path

from console import BadInput
from shards import video
from shards.listening import BESIDE_PAGE, endings_beside_page

OVERVIEW = "all_recordings"  # the table over several recordings
HEAD_BYTES = 1 << 17         # of a file, by which it is known; a page names its sound in them
MARKS = {                    # what a file of ours begins with, or holds in its head
    ".csv": rb"time_s,(azimuth_deg|source),",
    ".json": rb'(\[\s+)?\{\s+"recording": ',
    ".textgrid": rb'(?s)File type = "ooTextFile".*?name = "(azimuth_deg|source_1)"',
    ".txt": rb"[\d.]+\t[\d.]+\t(\d+: )?-?\d+( \xc2\xb1 <?\d+)?\n",
    ".vtt": rb"WEBVTT\n\n(\S+ --> \S+ position:\d+%\n.*(degrees|in front).*\n|\Z)",
    ".html": rb"(?s).*?<title>[^<]*: where (it comes|they come) from",
    ".png": rb"(?s)\x89PNG.*?Matplotlib",
}


def is_ours(path):
    """Tell whether Localise.py made a file, as far as the file tells; an empty one is nobody's loss."""
    path = Path(path)
    ending = path.suffix.lower()
    if ending in video.ENDINGS:
        return video.is_ours(path)
    if path.stem.endswith(BESIDE_PAGE):
        page = path.with_name(f"{path.stem.removesuffix(BESIDE_PAGE)}.html")
        return page.is_file() and is_ours(page) and f'{BESIDE_PAGE}{ending}"'.encode() in _head_of(page)
    head = _head_of(path)
    return not head or ending in MARKS and bool(re.match(MARKS[ending], head))


def _head_of(path):
    with open(path, "rb") as file:
        return file.read(HEAD_BYTES)


def check_targets(names, out, endings, film=None):
    """Check before any work that no file of the user would be overwritten.

    Parameters
    ----------
    names : dict of the path of each recording to the name of its results, as of recording_files.output_names
    out : Path of their folder
    endings : sequence of str, of what is written of each recording
    film : path, optional, of a video that is read as well

    Raises
    ------
    BadInput : a result would have the name of a recording, or of a file that Localise.py did not make

    """
    read = {_identity(path) for path in [*names, *([film] if film else [])]}
    for path, name in names.items():
        beside = endings_beside_page(path) if ".html" in endings else []
        for ending in (*endings, *beside):
            _check(out / f"{name}{ending}", read)
    if len(names) > 1:
        for ending in {".json", *endings} & {".json", ".html"}:
            _check(out / f"{OVERVIEW}{ending}", read)


def _identity(path):
    found = Path(path).stat()
    return found.st_dev, found.st_ino


def _check(target, read):
    if not target.is_file():
        return
    if _identity(target) in read:
        raise BadInput(f"{target} is to be read, and a result would have its name; choose another --out.")
    if not is_ours(target):
        raise BadInput(f"{target} exists and was not made by this script; choose another --out, or rename it.")
