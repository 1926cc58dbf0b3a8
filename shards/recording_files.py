"""Which recordings a command names, and under which names their results are written."""
from collections import Counter
from glob import glob
from pathlib import Path

from console import BadInput, warn
from shards import video
from shards.audio import audio_paths

# Endings of what is written under a recording's name.
RESULTS = {".png", ".html", ".mp4", ".webm", ".csv", ".json", ".textgrid", ".vtt"}
OVERVIEW = "all_recordings"  # the table over several recordings
BESIDE = ".ears"             # before the ending of the sound beside a page


def find_recordings(named, out):
    """List the recordings as (folder, path): files as named, and those of folders in order; BadInput for others.

    What an earlier run wrote to `out`, or beside the recordings, is left out of folders.
    """
    recordings = []
    for path in _expanded(named):
        if path.is_dir():
            every = audio_paths(path)
            found = [each for each in every if not _is_result(each, path, Path(out))]
            if not found:
                raise BadInput(f"{path} holds no audio file; name a folder of two-channel recordings.")
            if len(found) < len(every):
                warn(f"{path}: left out {len(every) - len(found)} result(s) of earlier runs.")
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


def _is_result(path, folder, out):
    """Tell whether a file of a folder is what this script wrote: in `out` within it, the sound of a page, a video."""
    out, within = out.resolve(), folder.resolve()
    if out != within and out.is_relative_to(within) and path.resolve().is_relative_to(out):
        return True
    name = path.with_suffix("").name
    is_of_page = name.endswith(BESIDE) and path.with_name(f"{name.removesuffix(BESIDE)}.html").exists()
    return is_of_page or path.suffix.lower() in video.ENDINGS and video.is_ours(path)


def check_sound_of_pages(names, out):
    """Check that the sound beside a page, which a long recording has, would replace no recording; BadInput if it would.

    `names` are as of `output_names`.
    """
    beside = {Path(out, name + BESIDE).resolve() for name in names.values()}
    for path in names:
        if path.resolve().with_suffix("") in beside:
            raise BadInput(f"{path} is a recording, and the sound of a page would have its name; choose another --out.")


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
