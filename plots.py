"""Pictures of training and test results, each written whole as a png. Figures only, no pyplot: nothing global."""
import numpy as np
from matplotlib.figure import Figure

from console import written_whole


def _save(figure, path):
    with written_whole(path) as partial:
        figure.savefig(partial, format="png", dpi=120)


def history(rows, path):
    """Loss and validation accuracy by epoch, from the rows of history.csv."""
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
