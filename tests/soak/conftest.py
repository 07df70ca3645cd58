"""The same servers, stores and tabs as in `tests/faults`, for longer."""

from tests.faults.conftest import folder, launch

__all__ = ["folder", "launch"]
