from benchmarks.attention import MODELS, SIDES, Shape, measure, shape_of
from model_ports import catalog


def test_shapes_are_those_of_the_models():
    for name in MODELS:
        shape, config = shape_of(name), catalog.get(name).config
        assert shape.heads == config["num_attention_heads"]
        assert shape.groups == config.get("num_key_value_heads", shape.heads)
        assert shape.heads * shape.width == config["hidden_size"]


def test_all_sides_are_timed_and_the_engine_is_compared_with_float32():
    seconds, change = measure(Shape(4, 2, 8, causal=True), 24, 2, "bfloat16")
    assert seconds.keys() == SIDES.keys()
    assert all(value is not None and value > 0 for value in seconds.values())
    assert 0 < change < 0.02
