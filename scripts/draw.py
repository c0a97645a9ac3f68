#!/usr/bin/env python3
import checkout  # noqa: F401

from dnn.commands.draw import main

main()
