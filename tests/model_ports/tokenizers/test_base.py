import pytest

from model_ports.tokenizers.base import TokenizerError, require_file


def test_a_missing_folder_names_the_file_and_the_command_that_fetches_it():
    said = r"tokenizer\.json is needed .*`geneb-jax models fetch"
    with pytest.raises(TokenizerError, match=said):
        require_file(None, "tokenizer.json")
