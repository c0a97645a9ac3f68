"""Covering arrays contain every allowed pair of values."""

from itertools import combinations

import pytest

from dnn.agreement.calls.covering import cover_pairs

VALUES = ((1, 0, 2, 3, 4), "abc", (None, 1.0), range(4))


def even(*row):
    return sum(v for v in row if isinstance(v, int)) % 2 == 0 or row[1] == "a"


@pytest.mark.parametrize("allowed", [lambda *row: True, even])
def test_every_allowed_pair_occurs(allowed):
    rows = list(cover_pairs(*VALUES, allowed=allowed))
    assert all(allowed(*row) for row in rows)
    assert len(rows) < 40
    for a, b in combinations(range(4), 2):
        for x in VALUES[a]:
            for y in VALUES[b]:
                row = [values[0] for values in VALUES]
                row[a], row[b] = x, y
                counted = rows if a == 0 else [r for r in rows if r[0] != 0]  # 0: a call without numbers
                assert not allowed(*row) or any((r[a], r[b]) == (x, y) for r in counted)
