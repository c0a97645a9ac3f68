#!/usr/bin/env python3
import checkout  # noqa: F401

from dnn.commands.predict import main

main()
