"""Pictures show what they were given, in order, and are whole png files."""
from types import SimpleNamespace

import numpy as np
import pytest

from scores import plots


@pytest.fixture
def drawn(monkeypatch):
    """List of the figures drawn, in place of files."""
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    return figures


def line(figure, label):
    """Points (2, n) of a labelled line of a figure with one pair of axes."""
    lines = {each.get_label(): each for each in figure.axes[0].get_lines()}
    return np.array(lines[label].get_data(), np.float64)


def test_a_picture_is_a_whole_png(tmp_path):
    plots.accuracy_by_kept({"best": (np.array([50, 100]), np.array([90, 80]))}, 5, tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_history_shows_every_epoch(drawn):
    rows = [{"epoch": epoch, "loss": 3 / epoch, "validation_loss": 4 / epoch, "validation_within_5_deg_percent": 80}
            for epoch in (1, 2, 3)]
    plots.history(rows, "x.png")
    np.testing.assert_allclose(line(drawn[0], "training"), [[1, 2, 3], [3, 1.5, 1]])
    np.testing.assert_allclose(line(drawn[0], "validation"), [[1, 2, 3], [4, 2, 4 / 3]])


def test_errors_and_accuracies_are_drawn_by_number_not_by_name(drawn):
    scores = {"best": {"by_azimuth_deg": {"-10": {"mae_deg": 1}, "-5": {"mae_deg": 2}, "-90": {"mae_deg": 3}},
                       "by_snr_db": {"-6": {"within_5_deg_percent": 70}, "6": {"within_5_deg_percent": 99}}}}
    plots.error_by_azimuth(scores, "x.png")
    np.testing.assert_array_equal(line(drawn[0], "best"), [[-90, -10, -5], [3, 1, 2]])
    plots.accuracy_by_snr(scores, "x.png")
    np.testing.assert_array_equal(line(drawn[1], "best"), [[-6, 6], [70, 99]])


def test_calibration_shows_what_68_percent_of_the_errors_are_within(drawn):
    error_deg = np.concatenate((np.linspace(0, 10, 101), np.linspace(0, 100, 101)))
    plots.calibration(error_deg, np.repeat([5.0, 70.0], 101), "title", "x.png", most_groups=2)
    np.testing.assert_allclose(line(drawn[0], "measured"), [[5, 70], [6.8, 68]], rtol=1e-6)


@pytest.mark.parametrize("true_deg", [[30.0, 30.0], [-45.0, 10.0]])
def test_a_density_shows_every_share(drawn, true_deg):
    plots.density(np.array([-90.0, 90.0]), np.array(true_deg), 5, "title", "x.png")
    share = drawn[0].axes[0].collections[0].get_array()
    of_each_azimuth = share.filled(0).sum(axis=0)
    assert of_each_azimuth.max() == 100
    assert of_each_azimuth.sum() == 100 * len(set(true_deg))


def test_a_track_is_drawn_over_the_whole_recording_with_gaps(drawn):
    track = SimpleNamespace(time_s=np.array([0.5, 0.6, 0.7]), azimuth_deg=np.array([10, np.nan, -80]),
                            half_width_68_deg=np.array([2, np.nan, 30]))
    plots.track(track, np.ones((321, 60)), 16_000, "title", "x.png")
    spectrogram, azimuth = drawn[0].axes
    assert spectrogram.get_xlim() == (0, pytest.approx(1.2))
    assert spectrogram.images[0].get_extent() == pytest.approx((0, 1.2, 0, 8))
    np.testing.assert_array_equal(azimuth.get_lines()[0].get_ydata(), [10, np.nan, -80])
    low, high = azimuth.collections[0].get_paths()[-1].get_extents().intervaly
    assert (low, high) == (-90, -50)  # clipped to the range of azimuths


def test_each_source_is_drawn_in_a_colour_of_its_own_with_a_legend(drawn):
    time_s = np.array([0.5, 0.6, 0.7])
    sources = [SimpleNamespace(time_s=time_s, azimuth_deg=np.array(azimuth_deg), half_width_68_deg=np.full(3, 2.0))
               for azimuth_deg in ([10, np.nan, -80], [40.0, 41.0, 42.0])]
    plots.sources(time_s, sources, np.ones((321, 60)), 16_000, "title", "x.png")
    azimuth = drawn[0].axes[1]
    lines = azimuth.get_lines()[:2]
    for source, shown in zip(sources, lines):
        np.testing.assert_array_equal(shown.get_ydata(), source.azimuth_deg)
    assert lines[0].get_color() != lines[1].get_color()
    assert [text.get_text() for text in azimuth.get_legend().get_texts()] == ["source 1", "source 2"]
    plots.sources(time_s, [], np.ones((321, 60)), 16_000, "title", "x.png")
    assert drawn[1].axes[1].get_legend() is None
