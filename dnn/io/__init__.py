"""Files: atomic writes, safetensors, reading of regular files; warnings and standard output."""
