"""Conversion to and from other libraries: torch.nn, ONNX and scikit-learn."""
