"""Ways around guards that live in Python, as published jail escapes take them; each must end at the kernel.

Every row finds ``os`` (or what it needs of it) by its own way and then does one of the three acts below.
"""

# ruff: noqa: E501  (code of jobs, one act a line)

from __future__ import annotations

from typing import Final

from tests.escape.record import NO, NO_FILE, Attempt

_READ: Final = (
    "try:\n    fd = found.open(CANARY, 0)\n    print(found.read(fd, 200))\nexcept OSError as problem:\n"
    "    refused(errno.errorcode[problem.errno])\nreached()"
)
_FORK: Final = (
    "try:\n    pid = found.fork()\nexcept OSError as problem:\n    refused(errno.errorcode[problem.errno])\n"
    "if pid == 0: found._exit(0)\nfound.waitpid(pid, 0)\nreached()"
)
_SHELL: Final = "status = found.system('echo \"ESCAPE ' + ATTEMPT + ' reached OK\"')\nif status: refused('EPERM')"
_CONNECT: Final = (
    "try:\n    link = found.socket(2, 1)\n    link.connect(('127.0.0.1', TCP_PORT))\nexcept OSError as problem:\n"
    "    refused(errno.errorcode[problem.errno])\nreached()"
)


def _read(id: str, tries: str, way: str) -> Attempt:
    return Attempt(id, "reads a file: " + tries, way + "\n" + _READ, NO_FILE, ("secret",))


def _fork(id: str, tries: str, way: str) -> Attempt:
    return Attempt(id, "forks: " + tries, way + "\n" + _FORK, NO)


def _shell(id: str, tries: str, way: str) -> Attempt:
    return Attempt(id, "runs a shell: " + tries, way + "\n" + _SHELL, NO)


def _connect(id: str, tries: str, way: str) -> Attempt:
    return Attempt(id, "connects: " + tries, way + "\n" + _CONNECT, NO, ("connections",))


def _whole(id: str, tries: str, code: str, evidence: str = "secret") -> Attempt:
    """A way that ends in its own act; exceptions are read by their cause."""
    return Attempt(id, tries, code, (*NO_FILE, "ImportError"), (evidence,))


_EVAL: Final = "f'print(open({CANARY!r}).read())'"

ATTEMPTS = (
    _read(
        "subclasses-wrap-close",
        "os._wrap_close among the subclasses of object",
        "kind = next(c for c in object.__subclasses__() if c.__name__ == '_wrap_close')\n"
        "class Found: __getattr__ = lambda self, name: kind.__init__.__globals__[name]\nfound = Found()",
    ),
    _fork(
        "subclasses-catch-warnings",
        "sys.modules through warnings.catch_warnings",
        "kind = next(c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'catch_warnings')\n"
        "found = kind.__init__.__globals__['sys'].modules['posix']",
    ),
    _shell(
        "subclasses-popen",
        "a class whose module has imported os",
        "found = next(g['os'] for c in object.__subclasses__() for g in [getattr(c.__init__, '__globals__', {})] if 'os' in g)",
    ),
    _read(
        "subclasses-loader",
        "the importer of builtin modules",
        "kind = next(c for c in object.__subclasses__() if c.__name__ == 'BuiltinImporter')\nfound = kind.load_module('posix')",
    ),
    _fork(
        "generator-frame",
        "a generator's frame and up",
        "def walk():\n    frame = gen.gi_frame.f_back\n    while frame.f_back: frame = frame.f_back\n    yield frame\n"
        "gen = walk()\nfound = next(gen).f_builtins['__import__']('posix')",
    ),
    _shell(
        "traceback-frame",
        "the frame of a traceback",
        "try: 1 / 0\nexcept ZeroDivisionError as problem:\n    frame = problem.__traceback__.tb_frame\nwhile frame.f_back: frame = frame.f_back\n"
        "found = frame.f_builtins['__import__']('os')",
    ),
    _read(
        "coroutine-frame",
        "a coroutine's frame and up",
        "async def walk():\n    frame = co.cr_frame.f_back\n    while frame.f_back: frame = frame.f_back\n    return frame\n"
        "co = walk()\ntry: co.send(None)\nexcept StopIteration as stop: frame = stop.value\nfound = frame.f_builtins['__import__']('os')",
    ),
    _connect(
        "frame-globals",
        "the globals of the frame that runs the job",
        "try: raise ValueError\nexcept ValueError as problem: frame = problem.__traceback__.tb_frame.f_back\n"
        "found = frame.f_globals['sys'].modules.get('_socket') or frame.f_builtins['__import__']('_socket')",
    ),
    _fork(
        "collector-modules",
        "every dictionary that the collector knows",
        "import gc\ngc.unfreeze()\nfound = next(one['posix'] for one in gc.get_objects() if type(one) is dict and 'posix' in one and hasattr(one['posix'], 'fork'))",
    ),
    _read(
        "collector-referrers",
        "a module among all objects",
        "import gc\ngc.unfreeze()\nfound = next(one for one in gc.get_objects() if type(one) is type(os) and one.__name__ == 'posix')",
    ),
    _fork(
        "collector-referents",
        "what a visible module refers to, again and again",
        "import gc\nseen, queue = set(), [json]\nfor one in queue:\n    for inner in gc.get_referents(one):\n"
        "        if id(inner) not in seen: seen.add(id(inner)); queue.append(inner)\n    if getattr(one, '__name__', '') == 'posix': break\nfound = one",
    ),
    _shell(
        "spec-loader",
        "the loader in a module's spec",
        "import math, importlib\nfound = importlib._bootstrap._load(importlib._bootstrap.ModuleSpec('posix', math.__spec__.loader if math.__spec__.origin == 'built-in' else __import__('sys').__spec__.loader))",
    ),
    _read(
        "import-by-bootstrap",
        "the import system's frozen half",
        "import importlib\nfound = importlib._bootstrap._gcd_import('posix')",
    ),
    _read(
        "codecs-builtins",
        "the builtins that codecs imported",
        "import codecs\nfound = codecs.builtins.__import__('os')",
    ),
    _fork("print-self", "the module that print belongs to", "found = print.__self__.__import__('posix')"),
    _shell(
        "quit-globals",
        "the helpers of site",
        "import builtins\nfound = type(builtins.quit).__init__.__globals__['sys'].modules['posix']",
    ),
    _read(
        "license-globals",
        "the printer of the licence",
        "import builtins\nfound = builtins.license._Printer__setup.__globals__['sys'].modules['posix']",
    ),
    _read(
        "function-builtins",
        "the builtins of a library's function",
        "found = json.dumps.__builtins__['__import__']('os')",
    ),
    _fork(
        "function-globals",
        "the globals of a library's function",
        "found = re.compile.__globals__['enum'].sys.modules['posix']",
    ),
    _shell(
        "reduce-getattr",
        "names that are put together while it runs",
        "import functools\nfound = functools.reduce(getattr, ['decoder', 'scanner', 're', 'enum', 'sys'], json).modules['o' + 's']",
    ),
    _read(
        "attrgetter",
        "names inside a string",
        "import operator\nfound = operator.attrgetter('JSONDecoder.__init__.__globals__')(json.decoder)['__builtins__']['__import__']('os')",
    ),
    _read(
        "closures",
        "what the guard's wrapper of open closes over, or is",
        "def filled(cell):\n    try: return cell.cell_contents\n    except ValueError: return None\n"
        "inner = [filled(cell) for cell in getattr(open, '__closure__', None) or ()]\nway = next((one for one in inner if callable(one)), open)\n"
        "class Found:\n    def open(self, path, flags): return way(path).fileno()\n    read = staticmethod(os.read)\n    keep = []\n"
        "class Keeping(Found):\n    def open(self, path, flags):\n        self.keep.append(way(path))\n        return self.keep[-1].fileno()\nfound = Keeping()",
    ),
    _shell(
        "restored-builtins",
        "builtins put back where they were taken from",
        "__builtins__ = type(lambda: 0)((lambda: 0).__code__, {}).__builtins__\nfound = __builtins__['__import__']('os')",
    ),
    _fork(
        "settrace",
        "the frames that a tracer sees",
        "import sys\nseen = []\nsys.settrace(lambda frame, event, argument: seen.append(frame.f_builtins))\njson.loads('[]')\nsys.settrace(None)\n"
        "found = seen[0]['__import__']('posix')",
    ),
    _read(
        "new-code",
        "a function whose code is replaced",
        "def act(): return os\nact.__code__ = act.__code__.replace(co_names=('found_',))\nfound_ = __import__('posix')\nfound = act()",
    ),
    _fork(
        "thread",
        "a thread, on whose stack stands no user frame",
        "import threading\nbox = []\nt = threading.Thread(target=lambda: box.append(print.__self__.__import__('posix')))\nt.start(); t.join()\nfound = box[0]",
    ),
    _read(
        "metaclass",
        "a metaclass's call",
        "class Meta(type):\n    def __call__(kind, *a): return print.__self__.__import__('os')\nclass Way(metaclass=Meta): pass\nfound = Way()",
    ),
    _connect("c-accelerator", "the C half of socket", "found = print.__self__.__import__('_socket')"),
    _connect(
        "reloaded-socket",
        "a second copy of socket",
        "import importlib.util\nspec = importlib.util.find_spec('socket')\nfound = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(found)",
    ),
    _read(
        "ndarray-ctypes",
        "the ctypes that every array carries",
        "way = np.zeros(1).ctypes.__class__.__init__.__globals__['ctypes']\n"
        "class Found:\n    def open(self, path, flags):\n        lib = way.CDLL(None, use_errno=True)\n        fd = lib.open(path.encode(), flags)\n"
        "        if fd < 0: raise OSError(way.get_errno(), 'open')\n        return fd\n    read = staticmethod(os.read)\nfound = Found()",
    ),
    _fork(
        "python-c-api",
        "the interpreter's own C functions",
        "box = {}\nctypes.pythonapi.PyRun_SimpleString(b'import posix, sys; sys.escape_way = posix')\nimport sys\nfound = sys.escape_way",
    ),
    _fork(
        "c-api-import",
        "PyImport_ImportModule",
        "ctypes.pythonapi.PyImport_ImportModule.restype = ctypes.py_object\nfound = ctypes.pythonapi.PyImport_ImportModule(b'posix')",
    ),
    _read(
        "below-the-audit-events",
        "libc's open, below every audit event",
        "class Found:\n    def open(self, path, flags):\n        ctypes.set_errno(0)\n        fd = libc.open(path.encode(), flags)\n"
        "        if fd < 0: raise OSError(ctypes.get_errno(), 'open')\n        return fd\n    read = staticmethod(os.read)\nfound = Found()",
    ),
    _fork(
        "exported-runtime",
        "the interpreter's C function for imports under another name",
        "way = ctypes.pythonapi.PyEval_GetBuiltins\nway.restype = ctypes.py_object\nfound = way()['__import__']('posix')",
    ),
    _whole(
        "pickle-reduce",
        "has a pickle call a function",
        "import pickle\nclass Way:\n    def __reduce__(self): return (os.open, (CANARY, 0))\n"
        "def act():\n    fd = pickle.loads(pickle.dumps(Way()))\n    print(os.read(fd, 200))\ntell_python(act)",
    ),
    _whole(
        "numpy-pickle",
        "has numpy load an object array that opens a file",
        "class Way:\n    def __reduce__(self): return (os.open, (CANARY, 0))\nnp.save('a.npy', np.array([Way()], dtype=object), allow_pickle=True)\n"
        "tell_python(lambda: print(os.read(int(np.load('a.npy', allow_pickle=True)[0]), 200)))",
    ),
    _whole(
        "pandas-pickle",
        "has pandas read a pickle that opens a file",
        "import pickle\nclass Way:\n    def __reduce__(self): return (os.open, (CANARY, 0))\nopen('a.pkl', 'wb').write(pickle.dumps(Way()))\n"
        "tell_python(lambda: print(os.read(pd.read_pickle('a.pkl'), 200)))",
    ),
    _whole(
        "timeit", "has timeit execute a string", f"import timeit\ntell_python(lambda: timeit.timeit({_EVAL}, number=1))"
    ),
    _whole(
        "type-hints",
        "has typing evaluate an annotation",
        "import typing\ndef f(): pass\nf.__annotations__ = {'x': f'print(open({CANARY!r}).read()) or int'}\ntell_python(lambda: typing.get_type_hints(f))",
    ),
    _whole(
        "run-path",
        "has runpy run the file outside, whose text stands in the error",
        "import runpy\ndef act():\n    try: runpy.run_path(CANARY)\n    except (NameError, SyntaxError) as problem: print(problem, open(CANARY).read())\ntell_python(act)",
    ),
    _whole(
        "profiler",
        "has the profiler execute a string",
        f"import cProfile\ntell_python(lambda: cProfile.runctx({_EVAL}, globals(), {{}}))",
    ),
    _whole(
        "exit-handler",
        "reads a file in an exit handler, after the job",
        "import atexit\natexit.register(lambda: tell_python(lambda: print(open(CANARY).read())))",
    ),
    _whole(
        "finaliser",
        "reads a file in an object's end",
        "class Last:\n    def __del__(self): tell_python(lambda: print(os.read(os.open(CANARY, 0), 200)))\nlast = Last()\ndel last",
    ),
    _whole(
        "report-hook",
        "replaces what the worker calls after the job",
        "import sys, atexit\nrun = sys.modules['warmfork_worker.run']\nold = run._finish\ndef new(*a):\n    try: tell_python(lambda: print(open(CANARY).read()))\n"
        "    except SystemExit: pass\n    return old(*a)\nrun._finish = new",
    ),
    _whole(
        "codec-error-handler",
        "runs code in a codec's error handler",
        "import codecs\ndef handler(problem):\n    print(os.read(os.open(CANARY, 0), 200))\n    return ('', problem.end)\ncodecs.register_error('way', handler)\n"
        "tell_python(lambda: '\\udc80'.encode('ascii', 'way'))",
    ),
    _whole(
        "import-hook",
        "puts a finder of its own into the import system",
        "import sys\nclass Finder:\n    def find_spec(self, name, *rest):\n        if name == 'escape_way': print(open(CANARY).read())\n"
        "sys.meta_path.insert(0, Finder())\ndef act():\n    try: import escape_way\n    except ModuleNotFoundError: pass\ntell_python(act)",
    ),
    _whole(
        "path-import",
        "imports from a directory outside",
        "import sys\nsys.path.insert(0, OUTSIDE)\nopen('here.py', 'w').close()\ndef act():\n    os.listdir(OUTSIDE)\n    print(open(sys.path[0] + '/canary').read())\ntell_python(act)",
    ),
)
