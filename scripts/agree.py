#!/usr/bin/env python3
import checkout  # noqa: F401

from dnn.commands.agree import main

main()
