"""Helpers are kept off the core of the thread that they help."""

import os
import threading

import numpy as np
import pytest

from fungrad.compile.cores import current_core, keep_off, may_use, stay
from fungrad.compile.executor import run_parts

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system does not tell")
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def sleeper():
    """A thread that waits, and what ends it."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait, daemon=True)
    thread.start()
    return thread, end


def test_current_core_is_one_that_may_be_used():
    """The number is one of a core that this process may use."""
    assert current_core() in CORES


@pytest.mark.skipif(len(CORES) < 2, reason="needs two cores")
def test_keep_off():
    """A thread may run on all cores but one; None changes nothing; a thread that has ended is no error."""
    thread, end = sleeper()
    keep_off([thread.native_id], CORES[0])
    assert os.sched_getaffinity(thread.native_id) == set(CORES[1:])
    keep_off([thread.native_id], None)  # not known: as before
    assert os.sched_getaffinity(thread.native_id) == set(CORES[1:])
    end.set()
    thread.join()
    keep_off([thread.native_id], CORES[0])  # refused: there is no such thread


@pytest.mark.skipif(len(CORES) < 2, reason="needs two cores")
def test_keep_off_the_only_core():
    """Where the caller may use one core only, threads run as before."""
    thread, end = sleeper()
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {CORES[0]})
        keep_off([thread.native_id], CORES[0])
        assert os.sched_getaffinity(thread.native_id) == set(CORES)
    finally:
        os.sched_setaffinity(0, before)
        end.set()


def test_parts_run_once_each_and_errors_come_back():
    """Each part is taken by one thread; the error of one is raised in the caller."""
    counts = np.zeros(50, int)

    def work(k):
        counts[k] += 1

    run_parts(work, 50, 3)
    np.testing.assert_array_equal(counts, 1)

    def fail(k):
        if k == 7:
            raise KeyError(k)

    with pytest.raises(KeyError, match="7"):
        run_parts(fail, 50, 3)


@pytest.mark.skipif(len(CORES) < 2, reason="needs two cores")
def test_stay():
    """A thread stays on a core for a while, and may then use the cores that it could use before."""
    before = os.sched_getaffinity(0)
    core = current_core()
    cores = stay(core)
    try:
        assert os.sched_getaffinity(0) == {core}
        assert cores == before
        assert stay(core) is None  # no choice
    finally:
        may_use(cores)
    assert os.sched_getaffinity(0) == before
    may_use(None)
    assert stay(None) is None


def test_cores_after_an_error():
    """Also after an error in a part the thread may use all of its cores."""
    before = os.sched_getaffinity(0)

    def fail(k):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_parts(fail, 8, 2)
    assert os.sched_getaffinity(0) == before
