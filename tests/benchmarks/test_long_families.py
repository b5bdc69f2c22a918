import pytest

from benchmarks.long_families import layer_of


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("transformer.3.0.fn.1.to_q.weight", 3),
        ("model.layers.12.mlp.up_proj.weight", 12),
        ("bert.encoder.layer.0.output.dense.bias", 0),
        ("core.transformer_blocks.1.fc1.weight", 1),
        ("model.encoder.2.0.weight", 2),
        ("separable1.conv_layer.1.weight", None),  # a part of a convolution, which is kept
        ("core.conv_tower_blocks.4.conv.conv.weight", None),
        ("lm_head.weight", None),
    ],
)
def test_the_layer_of_a_tensor_is_told_by_its_name(name, layer):
    assert layer_of(name) == layer
