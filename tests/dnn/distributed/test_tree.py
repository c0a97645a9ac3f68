"""The order of additions, without processes."""

import queue
import threading

import numpy as np
import pytest

from backends import InputError
from dnn.distributed.tree import block_bounds, require_blocks, sum_over_workers, tree_sum


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


@pytest.mark.parametrize("size", [2, 4, 8])
@pytest.mark.parametrize("m", [1, 3, 1000])
def test_workers_add_as_the_tree_does_and_send_less_than_two_vectors(size, m):
    mine, expected = vectors(size, m), tree(vectors(size, m))
    pipes = {(a, b): queue.Queue() for a in range(size) for b in range(size)}
    sent = [0] * size

    def work(rank):
        def swap(peer, send, get):
            pipes[rank, peer].put(mine[rank][send].copy())
            sent[rank] += mine[rank][send].size
            found = pipes[peer, rank].get(timeout=300)
            assert found.shape == (get.stop - get.start,) <= ((m + 1) // 2,)
            return found

        sum_over_workers(mine[rank], rank, size, swap)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {vector.tobytes() for vector in mine} == {expected.tobytes()}
    if m == 1000:
        assert max(sent) <= 2 * m * (size - 1) / size + size


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
    with pytest.raises(InputError, match=words):
        require_blocks(blocks, workers)
    assert require_blocks(4096, 2) == 4096
