import jax

from geneb_jax.devices import programs


def test_programs_are_dropped_before_they_hold_too_many_memory_maps(tmp_path, monkeypatch):
    doubled = jax.jit(lambda x: 2 * x)
    doubled(1.0)
    maps, most = tmp_path / "maps", tmp_path / "most"
    maps.write_text("map\n" * 51)
    monkeypatch.setattr(programs, "_MAPS", maps)
    monkeypatch.setattr(programs, "_MOST_MAPS", most)
    for limit, count in (("102\n", 1), ("101\n", 0)):
        most.write_text(limit)
        programs.make_room_for_programs()
        assert doubled._cache_size() == count
    most.unlink()  # another system
    programs.make_room_for_programs()
