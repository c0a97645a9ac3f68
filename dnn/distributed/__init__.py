"""Several processes that train one network together, over ``torch.distributed``; see docs/workers.md."""

from dnn.distributed.group import WorkerError, Workers

__all__ = ["WorkerError", "Workers"]
