"""Reaching out through ordinary libraries, whose C code opens files and sockets by itself."""

# ruff: noqa: E501  (code of jobs, one act a line)

from __future__ import annotations

from typing import Final

from tests.escape.record import NO, NO_FILE, Attempt

_TOLD: Final = (*NO_FILE, "OperationalError", "FileNotFoundError", "OSError")
_URL: Final = "f'http://127.0.0.1:{TCP_PORT}/x.csv'"


def _read(id: str, tries: str, act: str, setup: str = "") -> Attempt:
    return Attempt(id, tries, f"{setup}\ntell_python(lambda: print({act}))", _TOLD, ("secret",))


def _write(id: str, tries: str, act: str, setup: str = "") -> Attempt:
    return Attempt(id, tries, f"{setup}\ntell_python(lambda: {act})", _TOLD, ("files",))


def _connect(id: str, tries: str, act: str, setup: str) -> Attempt:
    """The listener accepts and says nothing: the control ends by its own time-out, and has connected."""
    code = (
        f"import socket\nsocket.setdefaulttimeout(0.3)\n{setup}\ndef act():\n    try: {act}\n"
        "    except Exception as problem:\n        inner = problem\n        while inner and not isinstance(inner, (TimeoutError,)) and not "
        "isinstance(getattr(inner, 'reason', None), TimeoutError): inner = inner.__cause__ or inner.__context__\n"
        "        if not inner: raise\ntell_python(act)"
    )
    return Attempt(id, tries, code, (*NO, "URLError", "OSError", "FileNotFoundError"), ("connections",))


ATTEMPTS = (
    _read("pandas-read-csv", "reads a file with pandas", "pd.read_csv(CANARY, header=None).to_string()"),
    _read(
        "pandas-read-csv-python",
        "reads it with pandas' Python parser",
        "pd.read_csv(CANARY, header=None, engine='python').to_string()",
    ),
    _read("pandas-read-fwf", "reads it with fixed widths", "pd.read_fwf(CANARY, header=None, widths=[60]).to_string()"),
    _read("numpy-fromfile", "reads it with np.fromfile", "np.fromfile(CANARY, np.uint8).tobytes()"),
    _read("numpy-memmap", "maps it with np.memmap", "bytes(np.memmap(CANARY, np.uint8, 'r'))"),
    _read("numpy-genfromtxt", "reads it with np.genfromtxt", "np.genfromtxt(CANARY, dtype=str)"),
    _read("numpy-loadtxt", "reads it with np.loadtxt", "np.loadtxt(CANARY, dtype=str)"),
    _read("linecache", "reads it with linecache", "linecache.getlines(CANARY) or os.stat(CANARY)", "import linecache"),
    _read("fileinput", "reads it with fileinput", "list(fileinput.input(CANARY))", "import fileinput"),
    _read("pathlib", "reads it with pathlib", "pathlib.Path(CANARY).read_text()", "import pathlib"),
    _read(
        "codecs-open",
        "reads it with codecs",
        "codecs.open(CANARY).read()",
        "import codecs, warnings\nwarnings.simplefilter('ignore')",
    ),
    _read("io-fileio", "reads it with io.FileIO", "io.FileIO(CANARY).read()", "import io"),
    _read("io-open-code", "reads it as code", "io.open_code(CANARY).read()", "import io"),
    _read(
        "loader-get-data",
        "reads it with the import system's loader",
        "SourceFileLoader('x', CANARY).get_data(CANARY)",
        "from importlib.machinery import SourceFileLoader",
    ),
    _read(
        "shutil-copy", "copies it with shutil", "shutil.copy(CANARY, 'mine') and open('mine').read()", "import shutil"
    ),
    _read("mmap-module", "maps it with mmap", "mmap.mmap(os.open(CANARY, 0), 0, prot=1)[:]", "import mmap"),
    _read(
        "zip-of-outside",
        "packs it into an archive",
        "pack()",
        "import zipfile\ndef pack():\n    with zipfile.ZipFile('z.zip', 'w') as z: z.write(CANARY, 'c')\n    return zipfile.ZipFile('z.zip').read('c')",
    ),
    _read(
        "tar-of-outside",
        "packs its directory into an archive",
        "pack()",
        "import tarfile\ndef pack():\n    with tarfile.open('t.tar', 'w') as t: t.add(CANARY, 'c')\n    return tarfile.open('t.tar').extractfile('c').read()",
    ),
    _read(
        "glob",
        "finds it with glob and reads it",
        "open((glob.glob(OUTSIDE + '/can*') or [CANARY])[0]).read()",
        "import glob",
    ),
    _read(
        "matplotlib-style",
        "has matplotlib read it as a style",
        "open(CANARY).read() if plt.style.use(CANARY) is None else 0",
        "import logging\nlogging.disable()",
    ),
    _read(
        "configparser",
        "reads it as a configuration",
        "configparser.ConfigParser(allow_no_value=True).read_string('[a]\\n' + open(CANARY).read()) or open(CANARY).read()",
        "import configparser",
    ),
    Attempt(
        "sqlite-attach",
        "attaches a database outside",
        # In the control sqlite reads the file and finds that it is no database.
        "import sqlite3\nlink = sqlite3.connect(':memory:')\ntry: link.execute('ATTACH ? AS x', (CANARY,)).execute('SELECT * FROM x.sqlite_master')\n"
        "except sqlite3.OperationalError: refused('EACCES')\nexcept sqlite3.DatabaseError: reached()",
        _TOLD,
    ),
    _write(
        "sqlite-create",
        "makes a database outside",
        "sqlite3.connect(NEW).execute('CREATE TABLE t (x)')",
        "import sqlite3",
    ),
    _write(
        "sqlite-vacuum",
        "has sqlite write a copy outside",
        "database.execute('VACUUM INTO ?', (NEW,))",
        "import sqlite3\ndatabase = sqlite3.connect(':memory:')\ndatabase.execute('CREATE TABLE t (x)')",
    ),
    _write("numpy-tofile", "writes with np.tofile", "np.ones(3).tofile(NEW)"),
    _write("numpy-save", "writes with np.save", "np.save(NEW, np.ones(3))"),
    _write("pandas-to-csv", "writes with pandas", "pd.DataFrame([1]).to_csv(NEW)"),
    _write("pandas-to-pickle", "writes a pickle with pandas", "pd.DataFrame([1]).to_pickle(NEW)"),
    _write("savefig", "saves a figure outside", "plt.figure().savefig(NEW + '.png')"),
    _write(
        "pillow-save", "saves an image outside", "Image.new('L', (1, 1)).save(NEW + '.gif')", "from PIL import Image"
    ),
    _write("logging-handler", "logs to a file outside", "logging.FileHandler(NEW)", "import logging"),
    _write(
        "tempfile-outside",
        "makes a temporary file outside",
        "tempfile.NamedTemporaryFile(dir=OUTSIDE, delete=False)",
        "import tempfile",
    ),
    # In a private /tmp it may make that path for itself.
    Attempt(
        "tar-extract",
        "unpacks an archive that climbs out",
        "import tarfile, io\nwith tarfile.open('t.tar', 'w') as t: t.addfile(tarfile.TarInfo('../' * 40 + NEW[1:]), io.BytesIO())\n"
        "def unpack():\n    with tarfile.open('t.tar') as t: t.extractall(**({'filter': 'fully_trusted'} if hasattr(tarfile, 'fully_trusted_filter') else {}))\n"
        "tell_python(unpack)",
        (),
        ("files",),
    ),
    _write(
        "shutil-move",
        "moves a file of its own out",
        "shutil.move('mine', NEW)",
        "import shutil\nopen('mine', 'w').close()",
    ),
    _write("shutil-rmtree", "removes a directory outside", "shutil.rmtree(EMPTY_DIR)", "import shutil"),
    _write("dbm-outside", "makes a database of keys outside", "dbm.dumb.open(NEW, 'n').close()", "import dbm.dumb"),
    _connect("pandas-url", "has pandas read from the network", f"pd.read_csv({_URL})", ""),
    _connect("urllib", "fetches with urllib", f"urllib.request.urlopen({_URL})", "import urllib.request"),
    _connect(
        "http-client",
        "fetches with http.client",
        "http.client.HTTPConnection('127.0.0.1', TCP_PORT).connect()",
        "import http.client",
    ),
    _connect(
        "numpy-datasource",
        "fetches with numpy's data source",
        f"DataSource('.').open({_URL})",
        "from numpy.lib.npyio import DataSource",
    ),
    _connect("smtp", "sends mail", "smtplib.SMTP('127.0.0.1', TCP_PORT)", "import smtplib"),
    _connect("ftp", "opens an FTP session", "ftplib.FTP().connect('127.0.0.1', TCP_PORT)", "import ftplib"),
    _connect(
        "xmlrpc",
        "calls a remote procedure",
        "xmlrpc.client.ServerProxy(f'http://127.0.0.1:{TCP_PORT}').x()",
        "import xmlrpc.client",
    ),
    _connect(
        "logging-socket",
        "logs to a listener",
        "handler.createSocket() or handler.sock is None and socket.create_connection(('127.0.0.1', TCP_PORT))",
        "import logging.handlers\nhandler = logging.handlers.SocketHandler('127.0.0.1', TCP_PORT)",
    ),
)
