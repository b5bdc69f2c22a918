"""One module an architecture family; see `model_ports.port.Family` for what each offers."""
