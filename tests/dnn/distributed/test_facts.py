"""The facts that must be equal in all workers."""

from itertools import pairwise

from dnn.distributed import facts


def test_code_version_covers_both_packages(tmp_path, monkeypatch):
    monkeypatch.setattr(facts, "__file__", str(tmp_path / "dnn" / "distributed" / "group.py"))
    found = [facts.code_version()]
    for place in ("dnn/workers/a.py", "backends/b.py", "dnn/c.txt", "scripts/d.py", "backends/b.py"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(f"{len(found)}")
        found.append(facts.code_version())
    (tmp_path / "backends" / "b.py").rename(tmp_path / "backends" / "e.py")
    found.append(facts.code_version())
    assert [one != other for one, other in pairwise(found)] == [True, True, False, False, True, True]
