"""Context managers, decorators, exception chaining, exception groups."""
import contextlib
import functools
import io


class Recorder:
    def __init__(self):
        self.events = []

    def __enter__(self):
        self.events.append("enter")
        return self

    def __exit__(self, kind, value, tb):
        self.events.append(kind.__name__ if kind else "clean")
        return kind is KeyError


def retry(times):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            for attempt in range(1, times + 1):
                try:
                    return function(*args, attempt=attempt, **kwargs)
                except ValueError:
                    if attempt == times:
                        raise

        return wrapper

    return decorate


@retry(3)
def flaky(attempt):
    """Fails twice."""
    if attempt < 3:
        raise ValueError("no")
    return f"worked at {attempt}"


@contextlib.contextmanager
def tag(name):
    print(f"<{name}>")
    try:
        yield
    finally:
        print(f"</{name}>")


recorder = Recorder()
with recorder:
    pass
with recorder:
    raise KeyError("swallowed")
print(recorder.events, flaky(), flaky.__doc__)
with tag("b"), contextlib.suppress(ZeroDivisionError):
    1 / 0
buffer = io.StringIO()
with contextlib.redirect_stdout(buffer):
    print("hidden")
print(repr(buffer.getvalue()))
try:
    try:
        {}["x"]
    except KeyError as error:
        raise RuntimeError("outer") from error
except RuntimeError as error:
    print(error, "from", repr(error.__cause__), error.__traceback__ is not None)
try:
    raise ExceptionGroup("several", [ValueError(1), TypeError(2)])
except* ValueError as group:
    print("values", [str(e) for e in group.exceptions])
except* TypeError as group:
    print("types", len(group.exceptions))
