"""onnxruntime, which runs the files that ``dnn.interop.onnx`` writes."""

import onnxruntime


def open_session(model):
    """Return the function of x (B, ...) that computes the outputs of an ONNX model on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # only errors; unused outputs would give warnings
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (source,) = session.get_inputs()
    kind = source.type.removeprefix("tensor(").removesuffix(")")
    dtype = {"float": "float32"}.get(kind, kind)
    return lambda x: session.run(None, {source.name: x.astype(dtype)})
