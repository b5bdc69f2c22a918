import matplotlib.pyplot as plt
import pytest

from geneb_jax.presentation.figures import size_and_score
from geneb_jax.presentation.figures.theme import STYLE
from geneb_jax.presentation.published import model_labels, published_results


def colours(results):
    """The colour of each architecture in the figure."""
    with plt.rc_context(STYLE):
        figure = size_and_score.overall(results, model_labels())
        assert figure is not None
        (axis,) = figure.axes
        found = {c.get_label(): tuple(c.get_facecolor()[0]) for c in axis.collections}
        plt.close(figure)
    return found


def test_an_architecture_has_its_colour_whichever_models_there_are():
    results = published_results().query("regime == 'full'")
    everything = colours(results)
    few = colours(results[results["model"].isin(["Enformer", "HyenaDNA-Large-1M", "SPACE"])])
    assert set(few) == {"CNN-Transformer", "Hyena", "CNN-Transformer-MoE"}
    assert few == {name: everything[name] for name in few}


@pytest.mark.parametrize("models", [["Enformer"], ["kmer-4", "kmer-5"], ["Enformer", "kmer-4"]])
def test_fewer_than_two_sizes_are_no_figure(models):
    results = published_results().query("regime == 'full'")
    names = dict(zip(["Enformer", "SPACE"], models, strict=False))
    some = results[results["model"].isin(names)].replace({"model": names})
    assert size_and_score.overall(some, model_labels()) is None
    assert size_and_score.by_category(some, model_labels()) is None
