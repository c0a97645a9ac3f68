"""Several processes that train one network together, over ``torch.distributed``; see docs/workers.md."""

from dnn.workers.group import Workers, WorkerError

__all__ = ["WorkerError", "Workers"]
