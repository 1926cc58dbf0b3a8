"""The tables that a test prints: results -> lines of text."""
import textwrap

COLUMNS = {"within_5_deg_percent": "within 5 deg (%)", "within_10_deg_percent": "within 10 deg (%)",
           "mae_deg": "mean abs. error", "median_deg": "median", "rmse_deg": "RMSE", "bias_deg": "bias (deg)"}
GROUPS = {"by_snr_db": "SNR (dB)", "by_noise_field": "noise field", "by_hrir": "head or room", "by_noise": "noise",
          "by_azimuth_deg": "azimuth (deg)"}

COLUMNS_OF_TALKERS = {  # of talkers.score; per cent
    "found_within_5_deg_percent": "within 5 deg", "found_within_10_deg_percent": "within 10",
    "all_within_5_deg_percent": "all within 5", "all_within_10_deg_percent": "all within 10",
    "count_right_percent": "count right", "nobody_percent": "nobody",
    "single_within_5_deg_of_loudest_percent": "one: loudest", "single_within_5_deg_of_any_percent": "one: any"}
GROUPS_OF_TALKERS = {"by_talkers": "talkers", "by_least_distance_deg": "least distance (deg)",
                     "by_least_level_db": "weakest (dB)"}
WORDS_OF_TALKERS = (
    "Several talkers, in per cent, not rounded. 'within': talkers found; 'all within': samples in which every talker "
    "is found. 'count right': samples of the right count. 'nobody': answers further than 10 degrees from everybody. "
    "'one': the single answer, within 5 degrees of the loudest or of any talker.")


def lines(results):
    """Give the figures of all samples, then per cent within 5 degrees by each of GROUPS.

    Parameters
    ----------
    results : dict of name to `metrics.score` of all samples, with `metrics.score_by` under the keys of GROUPS

    Returns
    -------
    list of str

    """
    return [*_all_samples(results), *(line for by, title in GROUPS.items() for line in ("", *_by(results, by, title)))]


def _all_samples(results):
    width = max(16, *map(len, results))
    title = f"{next(iter(results.values()))['samples']} samples"
    yield f"{title:<{width}}" + "".join(f"{head:>{len(head) + 3}}" for head in COLUMNS.values())
    for name, figures in results.items():
        yield f"{name:>{width}}" + "".join(f"{figures[key]:{len(head) + 3}.{1 if 'percent' in key else 2}f}"
                                           for key, head in COLUMNS.items())
    for name, figures in results.items():
        if "inside_stated_68_percent" in figures:
            yield (f"{name:>{width}}   true azimuths inside the stated 68 and 95 %: "
                   f"{figures['inside_stated_68_percent']:.1f}, {figures['inside_stated_95_percent']:.1f} %")


def _by(results, by, title):
    groups = next(iter(results.values()))[by]
    width = max(16, *map(len, groups))
    widths = {name: max(10, len(name) + 2) for name in results}
    yield f"{title:<{width}}" + "".join(f"{name:>{widths[name]}}" for name in results) + "   within 5 deg (%)"
    for group in groups:
        yield f"{group:>{width}}" + "".join(f"{results[name][by][group]['within_5_deg_percent']:{widths[name]}.1f}"
                                            for name in results)


def talker_lines(of_talkers):
    """Give the figures of several talkers, of all samples and by each of GROUPS_OF_TALKERS.

    `of_talkers` is a dict of name to `talkers.score_groups`. Returns a list of str.
    """
    told = [*textwrap.wrap(WORDS_OF_TALKERS, 120), "", *_talker_rows(of_talkers, "all", {"": of_talkers})]
    for by, title in GROUPS_OF_TALKERS.items():
        if groups := talker_groups(of_talkers, by):
            told += ["", *_talker_rows(of_talkers, title, groups)]
    return told


def talker_groups(of_talkers, by):
    """Turn dict of method to figures into dict of group to dict of method to that group's figures."""
    return {group: {name: figures[by][group] for name, figures in of_talkers.items()}
            for group in next(iter(of_talkers.values())).get(by, {})}


def _talker_rows(of_talkers, title, groups):
    width = max(16, *map(len, of_talkers))
    yield f"{title:<22}{'':<{width}}" + "".join(f"{head:>{len(head) + 3}}" for head in
                                               COLUMNS_OF_TALKERS.values()) + "   samples"
    for group, by_name in groups.items():
        for name, figures in by_name.items():
            cells = (f"{figures[key]:.1f}" if key in figures else "" for key in COLUMNS_OF_TALKERS)
            yield f"{group:>22}{name:>{width}}" + "".join(
                f"{cell:>{len(head) + 3}}" for cell, head in zip(cells, COLUMNS_OF_TALKERS.values())) + (
                f"{figures['samples']:>10}")


def in_words(results):
    """Name the groups of recordings to which no noise was added: SNR "inf" and noise ""."""
    words = {"inf": "no noise", "": "none"}
    return {name: figures | {by: {words.get(group, group): of_group for group, of_group in figures[by].items()}
                             for by in GROUPS} for name, figures in results.items()}
