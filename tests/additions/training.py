"""An activation, a loss and an optimizer."""

from additions.addition import Addition, document_part

ACTIVATION = [
    Addition(
        "backends/reference/activations.py",
        """    "log_sigmoid": ActivationFunction(
        lambda xp, z: -_positive(xp, -z) - xp.log1p(xp.exp(-xp.abs(z))),
        lambda xp, dy, z, y: dy * sigmoid(xp, -z),
    ),
""",
        before='    "softplus": ActivationFunction(\n',
    ),
    Addition("dnn/interop/torch/layers.py", '\nACTIVATION_TWINS.add("log_sigmoid", ("LogSigmoid", {}))\n'),
    Addition(
        "dnn/interop/onnx/activations.py",
        """

def log_sigmoid(write: Writer, z: Value) -> Value:
    return write.node("Neg", write.node("Softplus", write.node("Neg", z)))


ACTIVATION_NODES.add("log_sigmoid", log_sigmoid)
""",
    ),
    Addition(
        "tests/backends/test_extremes.py",
        """
EXACT["log_sigmoid"] = lambda z: min(z, 0.0) - log1p(exp(-abs(z))), lambda z: sigmoid(-z)
""",
    ),
    *document_part("The activation log_sigmoid."),
]

LOSS = [
    Addition(
        "dnn/losses.py", '    "Huber",\n', before='    "MeanSquaredError", "SparseCategoricalCrossentropy",\n'
    ),
    Addition(
        "dnn/losses.py",
        '''class Huber(Regression):
    """Huber loss: quadratic for errors up to delta, linear beyond, as torch.nn.HuberLoss."""

    delta: Positive = 1.0

    name = "huber"
    examples = ({}, {"delta": 0.3})

    def compute(self, xp: Any, outputs: Array, targets: Array) -> tuple[Array, Array]:
        far = outputs - targets
        near = xp.clip(far, -self.delta, self.delta)
        return xp.mean(near * (far - 0.5 * near), axis=1), near / outputs.shape[1]


''',
        before="LOSSES: Table",
    ),
    Addition("dnn/losses.py", "Huber, ", before="MeanSquaredError, MeanAbsoluteError, Hinge,\n"),
    Addition("dnn/losses.py", "Positive, ", before="Fraction, require_number"),
    Addition(
        "dnn/interop/torch/losses_and_optimizers.py",
        '\nLOSS_TWINS.add("huber", LossTwin("HuberLoss", lambda loss: {"delta": loss.delta}))\n',
    ),
    *document_part("The loss Huber, with its delta."),
]

OPTIMIZER = [
    Addition(
        "backends/reference/optimizers.py",
        '''
    @optimizer_step
    def lion(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        """Lion (Chen et al. 2023).

        p = p - rate (sign(beta1 m + (1 - beta1) g) + weight_decay p);  m = beta2 m + (1 - beta2) g
        """
        (m,), (beta1, beta2, weight_decay) = slots, settings
        control[UPDATES] = control[UPDATES] + 1.0
        p[...] = p - control[RATE] * (self.xp.sign(beta1 * m + (1.0 - beta1) * g) + weight_decay * p)
        m[...] = self._flush(beta2 * m + (1.0 - beta2) * g, control[UPDATES])
''',
    ),
    Addition(
        "dnn/optimizers/rules.py",
        '''

class Lion(Optimizer):
    """p = p - rate (sign(beta1 m + (1 - beta1) g) + weight_decay p);  m = beta2 m + (1 - beta2) g.

    Chen et al. 2023. torch.optim has no such optimizer.
    """

    learning_rate: float | Schedule = 1e-4
    beta1: Fraction = 0.9
    beta2: Fraction = 0.99
    weight_decay: NotNegative = 0.0

    name = "lion"
    slots = ("m",)
    examples = ({}, {"weight_decay": 0.1})

    def bind(self, backend: Backend) -> OptimizerStep:
        return backend.kernels.lion
''',
    ),
    Addition(
        "dnn/optimizers/__init__.py",
        "from dnn.optimizers.rules import Lion\n",
        before="from dnn.optimizers.schedules",
    ),
    Addition("dnn/optimizers/__init__.py", '"Lion", ', before='"Optimizer", "RMSprop"]'),
    Addition("dnn/optimizers/__init__.py", ", Lion", before="\nOPTIMIZERS: Table"),
    Addition("tests/helpers.py", '\nNOT_IN_TORCH.add("lion")\n'),
    Addition(
        "tests/dnn/optimizers/test_optimizers.py",
        """

def test_lion_is_its_paper(make_backend):
    from dnn.optimizers import Lion, OptimizerState
    from dnn.parameters import Parameters

    backend = make_backend("numpy", "float64")
    parameters = Parameters(backend, {"p": (3,)})
    state = OptimizerState(Lion(0.5, weight_decay=0.1), parameters, backend)
    parameters.load({"p": np.asarray([1.0, -2.0, 0.0])})
    p, m = np.asarray([1.0, -2.0, 0.0]), np.zeros(3)
    for g in np.random.default_rng(0).normal(size=(5, 3)):
        parameters.gradient_by_name["p"][...] = g
        state.step()
        p, m = p - 0.5 * (np.sign(0.9 * m + 0.1 * g) + 0.1 * p), 0.99 * m + 0.01 * g
    np.testing.assert_allclose(parameters.to_host()["p"], p, rtol=1e-12)
""",
    ),
    *document_part("The optimizer Lion."),
]
