"""The tables that a test prints: results -> lines of text."""

COLUMNS = {"within_5_deg_percent": "within 5 deg (%)", "within_10_deg_percent": "within 10 deg (%)",
           "mae_deg": "mean abs. error", "median_deg": "median", "rmse_deg": "RMSE", "bias_deg": "bias (deg)"}
GROUPS = {"by_snr_db": "SNR (dB)", "by_noise_field": "noise field", "by_hrir": "head or room", "by_noise": "noise",
          "by_azimuth_deg": "azimuth (deg)"}


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


def in_words(results):
    """Name the groups of recordings to which no noise was added: SNR "inf" and noise ""."""
    words = {"inf": "no noise", "": "none"}
    return {name: figures | {by: {words.get(group, group): of_group for group, of_group in figures[by].items()}
                             for by in GROUPS} for name, figures in results.items()}
