from geneb_jax.scoring.heads import regime_name


def test_regimes_are_named_by_their_shots():
    assert [regime_name(shots) for shots in (None, 10)] == ["full", "10shot"]
