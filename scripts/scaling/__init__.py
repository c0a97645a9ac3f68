"""How a training scales over workers: same bits, times in turns, a cost model."""
