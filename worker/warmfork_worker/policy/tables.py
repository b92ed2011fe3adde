"""The policy as data: what is refused or judged, why, and which way works instead.

Nothing here acts. ``builtin_guard``, ``imports``, ``acts`` and ``libraries`` read these tables, and ``document`` prints
them into ``docs/policy.md``, so that what is enforced and what is documented cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

PolicyName = Literal["strict", "standard", "off"]

Rule = Literal["refuse", "open", "database", "address", "url", "dlopen", "paths"]
"""How an audit event is judged.

refuse: always. open: by the path and the open flags. database: as sqlite does, a file to be written unless in memory.
address: refused where an address is given (a connected socket pair sends without one). url: refused unless the scheme
is local. dlopen: refused where user code asks. paths: each path argument as ``Act.paths`` says.
"""

PathUse = Literal["read", "write", "entry"]
"""read: the file is read. write: the file is changed. entry: the directory entry is made or removed, the file behind a
symbolic link is not touched."""

BOTH: Final[tuple[PolicyName, ...]] = ("strict", "standard")
STRICT: Final[tuple[PolicyName, ...]] = ("strict",)


@dataclass(frozen=True, slots=True)
class Entry:
    """One refused or judged name.

    Attributes:
        name: dotted name of a module, builtin or library function.
        reason: why it is on the table; goes into the document.
        hint: the way that works; goes into the error message and the document. Empty where there is none.
        policies: the policies under which it is judged.
    """

    name: str
    reason: str
    hint: str = ""
    policies: tuple[PolicyName, ...] = STRICT


@dataclass(frozen=True, slots=True)
class Act:
    """One audit event and how it is judged, whoever raises it: user code or a library.

    Attributes:
        event: the event's name in Python's audit events table.
        what: the act in words, the start of the error message.
        hint: as in ``Entry``.
        rule: as in ``Rule``.
        paths: with rule ``paths``: (use, index of the path argument, index of its dir_fd argument or None).
        policies: as in ``Entry``.
    """

    event: str
    what: str
    hint: str = ""
    rule: Rule = "refuse"
    paths: tuple[tuple[PathUse, int, int | None], ...] = ()
    policies: tuple[PolicyName, ...] = BOTH


_NO_PROCESS: Final = "No process can be started or signalled here; packages cannot be installed, those present are all."
_NO_NETWORK: Final = "There is no network here; pass the data in with files= or variables=."
_SCRATCH: Final = 'Scratch files go below os.environ["TMPDIR"] or to a relative path.'
_SERIALISE: Final = "json, numpy.save and pandas' to_pickle and read_pickle work."
_TRACEBACK: Final = "An uncaught exception is reported with its traceback; repr(error) prints a caught one."
_THREADS: Final = "concurrent.futures.ThreadPoolExecutor and asyncio work."

RESTRICTED_MODULES: Final[tuple[Entry, ...]] = (
    Entry("subprocess", "starts processes", _NO_PROCESS),
    Entry("shutil", "copies, moves and removes trees", "os and pathlib work below the working directory."),
    Entry("ctypes", "calls native code past every guard of this layer"),
    Entry("pty", "starts processes on a terminal", _NO_PROCESS),
    Entry("pexpect", "starts and drives processes", _NO_PROCESS),
    Entry("paramiko", "reaches other machines", _NO_NETWORK),
    Entry("asyncio.subprocess", "starts processes", _NO_PROCESS),
    Entry("signal", "could disarm the job's own limits", "scipy.signal is another module and is not restricted."),
    Entry("multiprocessing", "starts processes", _THREADS),
    Entry("threading", "raw threads outlive the code that started them", _THREADS),
    Entry("socket", "opens network connections", _NO_NETWORK),
    Entry("http.server", "serves on the network", _NO_NETWORK),
    Entry("xmlrpc", "reaches other machines", _NO_NETWORK),
    Entry("ftplib", "reaches other machines", _NO_NETWORK),
    Entry("smtplib", "reaches other machines", _NO_NETWORK),
    Entry("webbrowser", "starts a browser"),
    Entry("telnetlib", "reaches other machines", _NO_NETWORK),
    Entry("poplib", "reaches other machines", _NO_NETWORK),
    Entry("imaplib", "reaches other machines", _NO_NETWORK),
    Entry("nntplib", "reaches other machines", _NO_NETWORK),
    Entry("urllib.request", "reaches other machines", _NO_NETWORK),
    Entry("requests", "reaches other machines", _NO_NETWORK),
    Entry("aiohttp", "reaches other machines", _NO_NETWORK),
    Entry("code", "runs source text as code"),
    Entry("codeop", "compiles source text"),
    Entry("compileall", "compiles files"),
    Entry("exec", "no module of this name is standard; the name stands for running text as code"),
    Entry("builtins", "holds the functions this policy guards", "Builtin names are there without an import."),
    Entry("pickle", "unpickling runs whatever the data says", _SERIALISE),
    Entry("shelve", "unpickles", _SERIALISE),
    Entry("marshal", "loads code objects", _SERIALISE),
    Entry("importlib.util", "builds modules past the import guard", "importlib.import_module works."),
    Entry("tempfile", "temporary names outside the working directory", _SCRATCH),
    Entry("gc", "reaches every object of the process"),
    Entry("traceback", "walks frames that are not the job's", _TRACEBACK),
    Entry("dis", "reads code objects"),
    Entry("inspect", "walks frames that are not the job's", "callable(), vars() and __doc__ work."),
)
"""CONTRACT list A. A name stands for itself and for every submodule of it."""

PRIVATE_DOORS: Final[tuple[Entry, ...]] = (
    Entry("_posixsubprocess", "C half of subprocess", _NO_PROCESS),
    Entry("_socket", "C half of socket", _NO_NETWORK),
    Entry("_ctypes", "C half of ctypes"),
    Entry("numpy.ctypeslib", "loads native libraries through ctypes"),
    Entry("_pickle", "C half of pickle", _SERIALISE),
    Entry("_signal", "C half of signal"),
    Entry("_thread", "C half of threading", _THREADS),
    Entry("_multiprocessing", "C half of multiprocessing", _THREADS),
    Entry("_posixshmem", "C half of multiprocessing.shared_memory"),
    Entry("posix", "C half of os", "os is there."),
    Entry("_imp", "C half of importlib", "importlib.import_module works."),
    Entry("imp", "older importlib.util", "importlib.import_module works."),
    Entry("_frozen_importlib", "importlib's inner module", "importlib.import_module works."),
    Entry("_frozen_importlib_external", "importlib's inner module", "importlib.import_module works."),
    Entry("importlib._bootstrap", "importlib's inner module", "importlib.import_module works."),
    Entry("importlib._bootstrap_external", "importlib's inner module", "importlib.import_module works."),
    Entry("runpy", "runs files with a library's rights", "import your own modules instead."),
)
"""Doors to what list A closes: same rule, same message."""

GUARDED_BUILTINS: Final[tuple[Entry, ...]] = (
    Entry("__import__", "judges what user code imports; the import statement goes through it"),
    Entry("eval", "runs text as code", "ast.literal_eval and json.loads read data; operator has the operators."),
    Entry("exec", "runs text as code", "Write the code into the job itself, or import your own module from files=."),
    Entry("compile", "makes code of text", "re.compile is another function and works; ast.parse works."),
    Entry("breakpoint", "there is no debugger to talk to", "print() what you want to see."),
    Entry("input", "reads stdin; judged only where the request gave none", "Pass the text in with stdin=.", BOTH),
)

ACTS: Final[tuple[Act, ...]] = (
    Act("os.system", "Running a shell command", _NO_PROCESS),
    Act("os.exec", "Replacing the process by another program", _NO_PROCESS),
    Act("os.posix_spawn", "Starting a process", _NO_PROCESS),
    Act("os.fork", "Forking a process", _NO_PROCESS),
    Act("os.forkpty", "Forking a process", _NO_PROCESS),
    Act("os.kill", "Sending a signal", "Use sys.exit() or raise to end the job."),
    Act("os.killpg", "Sending a signal", "Use sys.exit() or raise to end the job."),
    Act("subprocess.Popen", "Starting a process", _NO_PROCESS),
    Act("pty.spawn", "Starting a process", _NO_PROCESS),
    Act("webbrowser.open", "Opening a web browser", "Save a file; result.files and result.charts carry it back."),
    Act("socket.connect", "Connecting to a network address", _NO_NETWORK),
    Act("socket.bind", "Listening on a network address", _NO_NETWORK),
    Act("socket.sendto", "Sending to a network address", _NO_NETWORK, "address"),
    Act("socket.sendmsg", "Sending to a network address", _NO_NETWORK, "address"),
    Act("socket.getaddrinfo", "Looking up a host name", _NO_NETWORK),
    Act("socket.gethostbyname", "Looking up a host name", _NO_NETWORK),
    Act("socket.gethostbyaddr", "Looking up a host name", _NO_NETWORK),
    Act("socket.getnameinfo", "Looking up a host name", _NO_NETWORK),
    Act("urllib.Request", "Fetching {0!r}", _NO_NETWORK, "url"),
    Act("ctypes.dlopen", "Loading a native library", "", "dlopen", (), STRICT),
    Act("open", "Opening a file", "", "open"),
    Act("sqlite3.connect", "Opening a database", "", "database"),
    Act("os.listdir", "Listing a directory", "", "paths", (("read", 0, None),)),
    Act("os.scandir", "Listing a directory", "", "paths", (("read", 0, None),)),
    Act("os.chdir", "Changing the current directory", "", "paths", (("read", 0, None),)),
    Act("os.mkdir", "Making a directory", "", "paths", (("entry", 0, 2),)),
    Act("os.rmdir", "Removing a directory", "", "paths", (("entry", 0, 1),)),
    Act("os.remove", "Removing a file", "", "paths", (("entry", 0, 1),)),
    Act("os.rename", "Renaming a file", "", "paths", (("entry", 0, 2), ("entry", 1, 3))),
    Act("os.link", "Making a hard link", "", "paths", (("entry", 0, 2), ("entry", 1, 3))),
    Act("os.symlink", "Making a symbolic link", "", "paths", (("entry", 1, 2),)),
    Act("os.truncate", "Truncating a file", "", "paths", (("write", 0, None),)),
    Act("os.chmod", "Changing a file's mode", "", "paths", (("write", 0, 2),)),
    Act("os.chown", "Changing a file's owner", "", "paths", (("write", 0, 3),)),
    Act("os.utime", "Changing a file's times", "", "paths", (("write", 0, 3),)),
    Act("os.setxattr", "Changing a file's attributes", "", "paths", (("write", 0, None),)),
    Act("os.removexattr", "Changing a file's attributes", "", "paths", (("write", 0, None),)),
    Act("os.getxattr", "Reading a file's attributes", "", "paths", (("read", 0, None),)),
    Act("os.listxattr", "Reading a file's attributes", "", "paths", (("read", 0, None),)),
)

LIBRARY_FUNCTIONS: Final[tuple[Entry, ...]] = (
    Entry("sys.modules", "user code sees it without the restricted modules, and without the real sys"),
    Entry("importlib.import_module", "judged like the import statement"),
    Entry("importlib.__import__", "judged like the import statement"),
    Entry("_posixsubprocess.fork_exec", "raises no audit event; refused to all callers", _NO_PROCESS, BOTH),
    Entry("matplotlib.use", "only a backend without a window can draw here", "plt.savefig works."),
    Entry("matplotlib.pyplot.switch_backend", "only a backend without a window can draw here", "plt.savefig works."),
    Entry("matplotlib.pyplot.show", "does nothing: open figures come back as charts by themselves", "", BOTH),
    Entry("matplotlib.pyplot.ion", "does nothing; its context manager works", "", BOTH),
    Entry("matplotlib.pyplot.ioff", "does nothing; its context manager works", "", BOTH),
    Entry("pandas.eval", "runs text as code", "DataFrame.eval and DataFrame.query work."),
    Entry("pandas.DataFrame.query", "parser='python' is refused", "The default parser works, with @names."),
    Entry("pandas.DataFrame.eval", "parser='python' is refused", "The default parser works, with @names."),
    Entry("numpy.ctypeslib", "loads native libraries; not there for user code"),
)

NON_INTERACTIVE_BACKENDS: Final = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")
"""What ``matplotlib.use`` and ``plt.switch_backend`` take, upper or lower case."""

READABLE_FILES: Final[tuple[Entry, ...]] = (
    Entry("/dev/null", "empty input", policies=BOTH),
    Entry("/dev/zero", "zero bytes", policies=BOTH),
    Entry("/dev/random", "random bytes", policies=BOTH),
    Entry("/dev/urandom", "random bytes", policies=BOTH),
    Entry("/dev/stdin", "the job's own stdin", policies=BOTH),
    Entry("/dev/fd/0", "the job's own stdin", policies=BOTH),
    Entry("/proc/self/status", "the job's own memory use", policies=BOTH),
    Entry("/proc/self/statm", "the job's own memory use", policies=BOTH),
    Entry("/proc/self/stat", "the job's own CPU use", policies=BOTH),
    Entry("/proc/meminfo", "how much memory there is", policies=BOTH),
    Entry("/proc/cpuinfo", "how many CPUs there are", policies=BOTH),
    Entry("/proc/stat", "how many CPUs there are, as psutil counts", policies=BOTH),
    Entry("/etc/localtime", "the local time zone", policies=BOTH),
    Entry("/etc/timezone", "the local time zone", policies=BOTH),
    Entry("/etc/os-release", "platform.freedesktop_os_release reads it", policies=BOTH),
    Entry("/usr/lib/os-release", "platform.freedesktop_os_release reads it", policies=BOTH),
    Entry("/etc/mime.types", "mimetypes reads it at first use and would fail as a whole", policies=BOTH),
    Entry("/etc/httpd/conf/mime.types", "as /etc/mime.types", policies=BOTH),
    Entry("/etc/httpd/mime.types", "as /etc/mime.types", policies=BOTH),
    Entry("/etc/apache/mime.types", "as /etc/mime.types", policies=BOTH),
    Entry("/etc/apache2/mime.types", "as /etc/mime.types", policies=BOTH),
)
"""Single files outside the readable directories; matched by the name as written, before any symbolic link."""

WRITABLE_FILES: Final[tuple[Entry, ...]] = (
    Entry("/dev/null", "output thrown away", policies=BOTH),
    Entry("/dev/stdout", "the job's own stdout", policies=BOTH),
    Entry("/dev/stderr", "the job's own stderr", policies=BOTH),
    Entry("/dev/fd/1", "the job's own stdout", policies=BOTH),
    Entry("/dev/fd/2", "the job's own stderr", policies=BOTH),
)
"""Single files that may be written besides the working and the temporary directory."""
