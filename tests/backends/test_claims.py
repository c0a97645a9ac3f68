"""Claims wait for older ones. They end with their thread or call, whatever line an exception comes at."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import MAX_SECONDS
from interruption import in_own_thread, interrupt, line_numbers

from backends.claims import Claim, Claims, once


def hold(claims, *, fails=False):
    with claims.hold(Claim()):
        if fails:
            raise ZeroDivisionError


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@in_own_thread
def test_a_claim_ends_with_its_call(error):
    claims = Claims()
    hold(claims)
    with pytest.raises(ZeroDivisionError):
        hold(claims, fails=True)
    for n in line_numbers(lambda: hold(claims)):
        assert interrupt(lambda: hold(claims), n, error)
        assert claims.living() == []


def test_a_claim_ends_with_its_thread():
    claims = Claims()
    left = []

    def leave():
        left.append(Claim())
        claims.add(left[0])

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    waiting = Claim()
    claims.add(waiting)
    claims.wait(waiting)
    assert claims.living() == [waiting]


def test_one_thread_at_a_time_has_an_exclusive_claim():
    claims = Claims()
    inside = []

    def work(seed):
        for _ in range(50):
            claim = Claim()
            with claims.hold(claim):
                claims.wait(claim)
                inside.append(seed)
                alone = inside == [seed]
                inside.remove(seed)
                if not alone:
                    return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


def test_all_threads_get_the_first_result():
    both = threading.Barrier(2)

    @once
    def make():
        both.wait(MAX_SECONDS)  # both threads make one
        return object()

    with ThreadPoolExecutor(2) as pool:
        first, second = [each.result(MAX_SECONDS) for each in [pool.submit(make), pool.submit(make)]]
    assert first is second is make()
