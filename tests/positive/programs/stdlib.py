"""The standard library without files: runs under every policy."""

# mypy: ignore-errors
# Programs as jobs bring them: they are run, and not by this interpreter.

import asyncio
import base64
import calendar
import codecs
import collections
import contextvars
import copy
import datetime
import decimal
import difflib
import email
import email.message
import email.policy
import fractions
import functools
import getpass
import hashlib
import heapq
import hmac
import html.parser
import io
import itertools
import json
import locale
import math
import mimetypes
import operator
import os
import platform
import random
import re
import secrets
import statistics
import string
import struct
import sys
import textwrap
import time
import timeit
import types
import unicodedata
import urllib.parse
import uuid
import warnings
import weakref
import xml.dom.minidom
import xml.etree.ElementTree as ET
import xml.sax
import zoneinfo
from concurrent.futures import ThreadPoolExecutor, as_completed, wait


def check_numbers() -> None:
    decimal.getcontext().prec = 50
    assert str(decimal.Decimal(2).sqrt()).startswith("1.4142135623730950488")
    assert fractions.Fraction("0.125") == fractions.Fraction(1, 8)
    assert statistics.stdev([1, 2, 3]) == 1
    statistics.NormalDist.from_samples([1.0, 2.0, 4.0])
    assert math.comb(50, 25) == 126410606437752
    assert len(str(2**10_000)) == 3011


def check_time() -> None:
    assert zoneinfo.ZoneInfo("Asia/Shanghai").utcoffset(datetime.datetime(2024, 1, 1)) == datetime.timedelta(hours=8)
    assert "Europe/Berlin" in zoneinfo.available_timezones()
    assert time.strftime("%Y", time.localtime()) >= "2024"
    assert time.monotonic() <= time.monotonic()
    assert time.perf_counter_ns() > 0
    assert time.process_time() > 0
    assert time.thread_time() >= 0
    assert time.clock_gettime(time.CLOCK_MONOTONIC) > 0
    assert time.get_clock_info("monotonic").monotonic
    time.tzset()
    assert time.tzname
    time.sleep(0.001)
    assert datetime.datetime.strptime("2024-02-29", "%Y-%m-%d").astimezone() is not None
    assert calendar.TextCalendar().formatmonth(2024, 2)
    timeit.timeit("1", number=10)


def check_locale() -> None:
    locale.setlocale(locale.LC_ALL, "")
    locale.setlocale(locale.LC_ALL, "C")
    assert locale.getpreferredencoding().lower().replace("-", "") == "utf8"
    locale.localeconv()
    locale.getlocale()
    assert codecs.lookup("gb18030").name == "gb18030"
    assert "中".encode("big5")
    assert "中".encode("shift_jis")
    assert unicodedata.name("é").startswith("LATIN")


def check_random() -> None:
    random.seed(1)
    assert random.random() == 0.13436424411240122
    random.SystemRandom().random()
    secrets.token_hex(8)
    uuid.uuid1()
    uuid.uuid4()
    uuid.uuid5(uuid.NAMESPACE_DNS, "x")
    uuid.getnode()
    assert len(os.urandom(16)) == 16
    os.getrandom(8)


def check_hashes() -> None:
    assert hashlib.sha256(b"").hexdigest().startswith("e3b0c442")
    for name in ("md5", "sha1", "sha3_256", "blake2b", "sha512"):
        hashlib.new(name, b"x").digest()
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 10)
    hashlib.scrypt(b"a", salt=b"b", n=16, r=1, p=1)
    with open(__import__("os").devnull, "rb") as nothing:
        hashlib.file_digest(nothing, "sha256")
    hmac.new(b"k", b"m", "sha256").hexdigest()
    base64.b64encode(b"x")


def check_machine() -> None:
    assert getpass.getuser()
    assert (os.cpu_count() or 0) >= 1
    assert len(os.sched_getaffinity(0)) >= 1
    for ask in (platform.system, platform.release, platform.version, platform.machine, platform.processor,
                platform.node, platform.platform, platform.python_version, platform.python_compiler,
                platform.architecture, platform.uname, platform.libc_ver, platform.python_build):  # fmt: skip
        ask()
    assert os.uname().sysname == "Linux"
    assert os.getpid() > 0
    assert os.getppid() >= 0
    os.getuid(), os.geteuid(), os.getgid(), os.getgroups(), os.getpgrp()
    os.times()
    assert os.sysconf("SC_PAGE_SIZE") == 4096
    assert os.environ["HOME"] == os.getcwd()
    assert os.path.isdir(os.environ["TMPDIR"])
    assert sys.getrecursionlimit() > 500
    os.get_terminal_size if sys.stdout.isatty() else None
    assert sys.platform == "linux"
    assert sys.version_info >= (3, 11)


def check_text() -> None:
    assert textwrap.fill("a b c", 3) == "a b\nc"
    assert list(difflib.unified_diff(["a"], ["b"]))
    assert string.Template("$x").substitute(x=1) == "1"
    assert struct.unpack("<H", b"\x01\x02") == (513,)
    assert re.sub(r"(?P<a>\d+)", r"<\g<a>>", "x1") == "x<1>"
    assert urllib.parse.urlencode({"q": "中"}) == "q=%E4%B8%AD"
    assert mimetypes.guess_type("a.png") == ("image/png", None)
    assert html.unescape("&lt;") == "<"


def check_documents() -> None:
    root = ET.fromstring("<a><b c='1'/></a>")
    assert root.find("b").get("c") == "1"  # type: ignore[union-attr]  # it is there
    assert xml.dom.minidom.parseString("<a/>").toprettyxml()
    xml.sax.parseString(b"<a/>", xml.sax.ContentHandler())
    message = email.message.EmailMessage()
    message["Subject"] = "图"
    message.set_content("text")
    message.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="a.png")
    assert email.message_from_bytes(bytes(message), policy=email.policy.default)["Subject"] == "图"
    json.dumps({"a": float("nan")})
    parser = html.parser.HTMLParser()
    parser.feed("<p>x")


def check_objects() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=1)
    context = contextvars.copy_context()
    context.run(variable.set, 2)
    assert (variable.get(), context[variable]) == (1, 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("here", UserWarning, stacklevel=1)
    assert len(caught) == 1
    assert copy.deepcopy({"a": [1]}) == {"a": [1]}
    assert collections.Counter("aab").most_common(1) == [("a", 2)]
    assert functools.reduce(operator.add, itertools.accumulate(range(4))) == 10
    assert heapq.nsmallest(1, [3, 1]) == [1]
    weakref.WeakValueDictionary()
    types.SimpleNamespace(a=1)
    with io.StringIO() as text:
        print("x", file=text)


def check_thread_pool() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(abs, range(-50, 0))) == 1275
        jobs = [pool.submit(time.sleep, 0.001) for _ in range(20)]
        assert len(list(as_completed(jobs))) == 20
        assert not wait(jobs).not_done
    with ThreadPoolExecutor() as pool:  # as many as it likes
        assert list(pool.map(lambda number: number * 2, range(200)))[-1] == 398


def check_asyncio() -> None:
    async def one(number: int) -> int:
        await asyncio.sleep(0.001)
        return number

    async def main() -> None:
        assert await asyncio.gather(*(one(number) for number in range(5))) == [0, 1, 2, 3, 4]
        assert await asyncio.to_thread(sum, [1, 2]) == 3
        async with asyncio.TaskGroup() as group:
            task = group.create_task(one(7))
        assert task.result() == 7
        queue: asyncio.Queue[int] = asyncio.Queue()
        await queue.put(1)
        assert await asyncio.wait_for(queue.get(), 1) == 1
        try:
            async with asyncio.timeout(0.001):
                await asyncio.sleep(5)
        except TimeoutError:
            pass
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, abs, -3) == 3
        done = asyncio.Event()
        loop.call_soon_threadsafe(done.set)
        await done.wait()
        async with asyncio.Semaphore(2), asyncio.Lock():
            pass

    asyncio.run(main())
    asyncio.run(main(), debug=True)
    with asyncio.Runner() as runner:
        assert runner.run(one(3)) == 3
