"""How a check runs and what it expects; see ../README.md for what is printed."""

import logging

# kazoo says on its own what the checks provoke.
logging.disable(logging.CRITICAL)

failed = 0


def check(body):
    """Runs a check, whose name is its function's."""
    global failed
    name = body.__name__.replace("_", " ")
    try:
        body()
        print(f"ok {name}", flush=True)
    except Exception as reason:
        failed += 1
        line = f"{type(reason).__name__} {reason}".replace("\n", " ")
        print(f"FAIL {name}: {line}", flush=True)


def done():
    """Ends the checks."""
    print(f"done {failed}", flush=True)


def equal(what, got, want):
    if got != want:
        raise AssertionError(f"{what} is {got!r}, not {want!r}")


def refused(error, call, *arguments, **options):
    try:
        result = call(*arguments, **options)
    except error:
        return
    raise AssertionError(f"{result!r} instead of {error.__name__}")
