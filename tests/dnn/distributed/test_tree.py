"""The order of additions, without processes."""

import numpy as np
import pytest
from helpers import input_error

from dnn.distributed.tree import block_bounds, require_blocks, tree_sum


def vectors(n, m=1000):
    """Numbers of very different sizes, so that any other order of additions gives other bits."""
    rng = np.random.default_rng(n)
    return list((rng.normal(size=(n, m)) * 10.0 ** rng.integers(-6, 7, size=(n, m))).astype(np.float32))


def tree(parts):
    """The balanced tree as a formula."""
    half = len(parts) // 2
    return parts[0] if len(parts) == 1 else tree(parts[:half]) + tree(parts[half:])


@pytest.mark.parametrize("n", [0, 1, 5, 8, 100, 803])
def test_blocks_partition_the_batch_evenly(n):
    for blocks in (1, 2, 8, 16):
        found = block_bounds(n, blocks)
        assert [row for first, end in found for row in range(first, end)] == list(range(n))
        sizes = [end - first for first, end in found]
        assert len(sizes) == blocks
        assert max(sizes) - min(sizes) <= 1


def test_add_up_follows_the_tree():
    for n in (1, 2, 8, 16):
        expected = tree(vectors(n))
        assert tree_sum(vectors(n), np.ndarray.__iadd__).tobytes() == expected.tobytes()
    assert sum(vectors(8)).tobytes() != tree(vectors(8)).tobytes()  # the bits depend on the order


@pytest.mark.parametrize(
    ("blocks", "workers", "words"),
    [
        (3, 1, "blocks is 3, expected a power of two"),
        (0, 1, "blocks is 0"),
        ("8", 1, "blocks is '8'"),
        (8192, 1, "a power of two up to 4096"),
        (1, 2, "blocks is 1 with 2 workers, expected a number of workers that is a power of two"),
    ],
)
def test_rejects_invalid_numbers_of_blocks(blocks, workers, words):
    with input_error(words):
        require_blocks(blocks, workers)
    assert require_blocks(4096, 2) == 4096
