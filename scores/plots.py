"""Draw training and test results, each picture written whole as a png. Figures only, no pyplot: nothing global."""
import warnings
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from console import atomic_write
from scores import metrics

CJK_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Microsoft YaHei", "Yu Gothic",
             "Hiragino Sans", "PingFang SC", "Malgun Gothic", "Arial Unicode MS", "Droid Sans Fallback")


def _save(figure, path):
    with atomic_write(path) as partial, any_glyphs():
        figure.savefig(partial, format="png", dpi=120)


@contextmanager
def any_glyphs():
    """Draw a box for what no font has, without a warning: a name is no fault of the run."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


@lru_cache(maxsize=1)
def families():
    """List the font of titles and those that draw Chinese, Japanese and Korean names, as far as they are installed."""
    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in CJK_FONTS if name in installed)]


def history(rows, path):
    """Draw loss and validation accuracy by epoch, from the rows of history.csv."""
    epochs = [row["epoch"] for row in rows]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [row["loss"] for row in rows], "o-", markersize=3, label="training")
    left.plot(epochs, [row["validation_loss"] for row in rows], "o-", markersize=3, label="validation")
    left.set(xlabel="epoch", ylabel="loss", title="Loss")
    left.legend()
    right.plot(epochs, [row["validation_within_5_deg_percent"] for row in rows], "o-", markersize=3, color="C1")
    right.set(xlabel="epoch", ylabel="within 5 degrees (%)", title="Validation accuracy", ylim=(0, 101))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    _save(figure, path)


def of_test(results, predicted, stated, true_deg, tolerance_deg, out):
    """Draw the results of a test; where a picture holds one model, that is the first.

    Parameters
    ----------
    results : dict of name to `metrics.score`, with `metrics.score_by` under by_azimuth_deg and by_snr_db
    predicted : dict of name to azimuths, np.ndarray [shape=(n,)]
    stated : dict of name to the stated 68 and 95 % half-widths, each (n,); of some or none of the names
    true_deg : np.ndarray [shape=(n,)]
    tolerance_deg : float
    out : Path of a folder

    Returns
    -------
    list of Path

    """
    first = next(iter(predicted))
    paths = [out / "predicted_vs_true.png"]
    density(predicted[first], true_deg, tolerance_deg, f"Predicted against true azimuth, {first}", paths[0])
    if set(results[first]["by_snr_db"]) != {"inf"}:  # recordings may have no noise but their own
        paths.append(out / "accuracy_by_snr.png")
        accuracy_by_snr(results, paths[-1])
    paths.append(out / "error_by_azimuth.png")
    error_by_azimuth(results, paths[-1])
    if stated:
        name, (half_width_deg, _) = next(iter(stated.items()))
        paths += [out / "accuracy_by_kept.png", out / "calibration.png"]
        accuracy_by_kept({name: metrics.kept_curve(predicted[name], true_deg, half_width_68_deg, tolerance_deg)
                          for name, (half_width_68_deg, _) in stated.items()}, tolerance_deg, paths[-2])
        calibration(np.abs(predicted[name] - true_deg), half_width_deg, f"Calibration, {name}", paths[-1])
    return paths


def density(predicted_deg, true_deg, tolerance_deg, title, path):
    """Draw predicted against true azimuth as a density, with the band that counts as correct."""
    true = np.unique(true_deg)
    half = np.diff(true).min() / 2 if len(true) > 1 else 2.5
    edges = np.append(true - half, true[-1] + half)
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.subplots()
    counts, _, _ = np.histogram2d(true_deg, predicted_deg, bins=(edges, np.arange(-92.5, 93, 2.5)))
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mesh = axes.pcolormesh(edges, np.arange(-92.5, 93, 2.5), np.ma.masked_equal(share, 0).T, cmap="viridis", vmin=0)
    figure.colorbar(mesh, ax=axes, label="share of the samples of an azimuth (%)")
    for offset in (-tolerance_deg, tolerance_deg):
        axes.plot([-90, 90], [-90 + offset, 90 + offset], "r-", linewidth=0.7)
    axes.set(xlabel="true azimuth (degrees; negative = left)", ylabel="predicted azimuth (degrees)", title=title,
             xlim=(-95, 95), ylim=(-95, 95), xticks=range(-90, 91, 30), yticks=range(-90, 91, 30), aspect="equal")
    _save(figure, path)


def error_by_azimuth(scores, path):
    """Draw the mean absolute error by azimuth: `scores` is a dict of name to results with by_azimuth_deg."""
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    for name, result in scores.items():
        azimuth = [float(a) for a in result["by_azimuth_deg"]]
        order = np.argsort(azimuth)
        mae = np.array([score["mae_deg"] for score in result["by_azimuth_deg"].values()])
        axes.plot(np.array(azimuth)[order], mae[order], "o-", markersize=3, label=name)
    axes.set(xlabel="true azimuth (degrees; negative = left)", ylabel="mean absolute error (degrees)",
             title="Error by azimuth", xticks=range(-90, 91, 30))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def track(track, spectrogram, sample_rate_hz, title, path):
    """Draw azimuth over time with its 68 % half-width, over a spectrogram.

    Parameters
    ----------
    track : tracking.Track
    spectrogram : np.ndarray [shape=(bin, column)], power; the columns cover the duration evenly
    sample_rate_hz : int
    title : str
    path : path of the png

    """
    drawn = [(track, "C3", "azimuth", "68 % half-width")]
    _over_spectrogram(drawn, track.time_s, spectrogram, sample_rate_hz, title, path)


def sources(time_s, sources, spectrogram, sample_rate_hz, title, path):
    """Draw the azimuths of several sources over time as `track` does one, each in its own colour.

    Parameters
    ----------
    time_s : np.ndarray [shape=(row,)]
    sources : list of tracks.Source, of the same rows; may be empty
    spectrogram, sample_rate_hz, title, path : as for `track`

    """
    drawn = [(source, f"C{at % 10}", f"source {at + 1}", None) for at, source in enumerate(sources)]
    _over_spectrogram(drawn, time_s, spectrogram, sample_rate_hz, title, path)


def _over_spectrogram(tracks, time_s, spectrogram, sample_rate_hz, title, path):
    """Draw azimuths over time; `tracks` lists (Track or Source, colour, label, label of its half-width)."""
    end_s = time_s[-1] + time_s[0]                                   # the rows are the middles of their seconds
    level_db = 10 * np.log10(np.maximum(spectrogram, 1e-12))
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(level_db, origin="lower", aspect="auto", cmap="Greys", extent=(0, end_s, 0, sample_rate_hz / 2000),
                vmin=level_db.max() - 80, vmax=level_db.max() + 20)
    axes.set(xlabel="time (s)", ylabel="frequency (kHz), grey", xlim=(0, end_s))
    axes.set_title(title.encode(errors="replace").decode(), parse_math=False, family=families())  # $ is no formula
    azimuth = axes.twinx()
    for track, color, label, band_label in tracks:
        low, high = track.azimuth_deg - track.half_width_68_deg, track.azimuth_deg + track.half_width_68_deg
        azimuth.fill_between(track.time_s, np.clip(low, -90, 90), np.clip(high, -90, 90), color=color, alpha=0.25,
                             linewidth=0, label=band_label)
        azimuth.plot(track.time_s, track.azimuth_deg, ".-", color=color, markersize=3, linewidth=1, label=label)
    azimuth.set(ylim=(-95, 95), yticks=range(-90, 91, 30), ylabel="azimuth (degrees)")
    azimuth.set_yticklabels(["left -90", "-60", "-30", "front 0", "30", "60", "right 90"])
    azimuth.axhline(0, color="C3", linewidth=0.4)
    if tracks:
        azimuth.legend(loc="upper right", fontsize=8, ncols=-(-len(tracks) // 8))
    _save(figure, path)


def calibration(error_deg, half_width_deg, title, path, most_groups=15):
    """Draw measured against stated 68 % half-widths, in groups of equally sure samples.

    `error_deg` absolute errors and `half_width_deg` the stated 68 % half-widths: np.ndarray [shape=(n,)].
    """
    order = np.argsort(half_width_deg, kind="stable")
    groups = np.array_split(order, max(1, min(most_groups, len(order) // 20)))
    stated = [float(np.median(half_width_deg[group])) for group in groups]
    actual = [float(np.quantile(error_deg[group], 0.68)) for group in groups]
    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    axes = figure.subplots()
    least, most = 0.1, max(100.0, *stated, *actual)
    axes.plot([least, most], [least, most], "k-", linewidth=0.7, label="as stated")
    axes.plot(np.maximum(stated, least), np.maximum(actual, least), "o-", markersize=4, label="measured")
    axes.set(xlabel="stated 68 % half-width (degrees)", ylabel="68 % of the errors are within (degrees)", title=title,
             xscale="log", yscale="log", xlim=(least, most), ylim=(least, most), aspect="equal")
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def accuracy_by_kept(curves, tolerance_deg, path):
    """Draw accuracy against the share of samples kept; `curves` is a dict of name to `metrics.kept_curve`."""
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for name, (kept_percent, correct_percent) in curves.items():
        axes.plot(kept_percent, correct_percent, label=name)
    axes.set(xlabel="samples kept, the surest first (%)", ylabel=f"within {tolerance_deg:g} degrees (%)",
             title="Accuracy when the least sure are dropped", xlim=(0, 100))
    axes.set_ylim(top=100.5)
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def accuracy_by_snr(scores, path):
    """Draw the percentage within 5 degrees by SNR: `scores` is a dict of name to results with by_snr_db."""
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for name, result in scores.items():
        snr = [float(s) for s in result["by_snr_db"]]
        axes.plot(snr, [score["within_5_deg_percent"] for score in result["by_snr_db"].values()], "o-", label=name)
    axes.set(xlabel="SNR (dB)", ylabel="within 5 degrees (%)", title="Accuracy by SNR", ylim=(0, 101))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    _save(figure, path)
