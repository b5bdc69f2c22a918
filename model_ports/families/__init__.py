"""One module an architecture family; `model_ports.contract.family.Family` says what it offers."""
