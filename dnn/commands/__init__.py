"""The command lines: what ``dnn NAME`` and ``python scripts/NAME.py`` run, one module for each NAME."""
