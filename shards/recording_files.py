"""Which recordings a command names, and under which names their results are written."""
from collections import Counter
from glob import glob
from pathlib import Path

from console import BadInput, warn
from shards.audio import audio_paths
from shards.listening import BESIDE_PAGE
from shards.own_files import MARKS, OVERVIEW, is_ours
from shards.video import ENDINGS as OF_VIDEOS

# Endings of what is written under a recording's name; that of labels is .labels.txt.
RESULTS = {*MARKS, *OF_VIDEOS} - {".txt"}


def find_recordings(named):
    """List the recordings as (folder, path): files as named, and those of folders in order; BadInput for others.

    What this script made itself is no recording of a folder: its videos, and the sound beside its pages.
    """
    recordings = []
    for path in _expanded(named):
        if path.is_dir():
            found, own = _recordings_of(path)
            if not found:
                raise BadInput(f"{path} holds no audio file{' but results' if own else ''}; name a folder of "
                               "two-channel recordings.")
            if own:
                warn(f"{path}: left out {len(own)} result(s) of earlier runs, such as {own[0].relative_to(path)}.")
            recordings += [(path, each) for each in found]
            links = sorted({part.name for each in found for part in each.relative_to(path).parents
                            if (path / part).is_symlink()})
            if links:
                warn(f"{path}: followed links to folders: {', '.join(links)}.")
        elif path.is_file():
            recordings.append((path.parent, path))
        elif path.exists():
            raise BadInput(f"{path} is a pipe or a device, not a file; save the recording to a file first.")
        else:
            raise BadInput(f"{path} does not exist; name a two-channel recording or a folder of them.")
    once = {path.resolve(): (folder, path) for folder, path in reversed(recordings)}  # each under its first name
    return list(reversed(once.values()))


def _recordings_of(folder):
    """List the recordings of a folder, and what earlier runs made there that can be played as well."""
    found, own = [], []
    for path in audio_paths(folder):
        may_be_ours = path.suffix.lower() in OF_VIDEOS or path.stem.endswith(BESIDE_PAGE)
        (own if may_be_ours and is_ours(path) else found).append(path)
    return found, own


def _expanded(named):
    """Expand patterns such as *.wav, which not every shell does."""
    for path in named:
        found = [] if path.exists() else sorted(map(Path, glob(str(path))))
        yield from found or [path]


def output_names(recordings):
    """Name the results of each recording: dict of path to a name without an ending, with / for subfolders.

    The name is that within its folder; where two are alike but for their endings, the ending stays, and where folders
    hold the same names, the folder's name comes first. No two differ in case alone, and no file has a subfolder's name.
    """
    names = {path: path.relative_to(folder).with_suffix("").as_posix() for folder, path in recordings}
    longer = (lambda folder, path: path.relative_to(folder).as_posix(),
              lambda folder, path: (Path(folder.resolve().name) / path.relative_to(folder)).as_posix(),
              lambda folder, path: path.resolve().as_posix().strip("/").replace(":", ""))
    for make in longer:
        count = Counter(name.casefold() for name in names.values())
        count[OVERVIEW] += 1
        count.update(parent.with_suffix("").as_posix().casefold() for parent in
                     {parent for name in names.values() for parent in Path(name).parents}
                     if parent.suffix.casefold() in RESULTS)
        names |= {path: make(folder, path) for folder, path in recordings if count[names[path].casefold()] > 1}
    return names
