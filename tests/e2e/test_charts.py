"""Charts: every open figure and every saved image, verified, once, in order."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from warmfork import Client, SignatureError
from warmfork.exchange import build_request, result_from
from warmfork.wire.messages import decode_reply, encode_request
from warmfork.wire.replies import ResultReply

PNG = b"\x89PNG\r\n\x1a\n"


def test_every_open_figure_comes_in_order(client: Client) -> None:
    """Figures come in order of their numbers, with size, number and title."""
    code = "for n in (3, 1, 2):\n    plt.figure(n)\n    plt.plot([n])\n    plt.title(f'图 {n}')"
    result = client.execute(code)
    assert [(1, "图 1"), (2, "图 2"), (3, "图 3")] == [(c.figure_number, c.title) for c in result.charts]
    for index, chart in enumerate(result.charts):
        assert index == chart.index
        assert chart.data.startswith(PNG)
        assert struct.unpack(">II", chart.data[16:24]) == (chart.width_px, chart.height_px)


def test_formats_come_in_the_order_asked(client: Client) -> None:
    """Each figure comes in every format asked for, figure by figure."""
    result = client.execute("plt.plot([1]); plt.figure(); plt.plot([2])", formats=("svg", "png", "pdf"))
    kinds = ["image/svg+xml", "image/png", "application/pdf"]
    assert kinds * 2 == [chart.media_type for chart in result.charts]
    assert all(chart.width_px > 100 and chart.height_px > 100 for chart in result.charts)


def test_a_saved_open_figure_comes_once_as_its_file(client: Client) -> None:
    """A figure saved and not changed since comes once, marked with its file; changed since, it comes as it is now too."""
    once = client.execute("plt.plot([1]); plt.title('t'); plt.savefig('a.png')")
    assert [("a.png", 1, "t")] == [(c.file_name, c.figure_number, c.title) for c in once.charts]
    twice = client.execute("plt.plot([1]); plt.savefig('a.png'); plt.title('later')")
    assert [None, "a.png"] == [chart.file_name for chart in twice.charts]


def test_saved_and_closed_figures_come_as_files(client: Client) -> None:
    """savefig and close, as language models write it, gives the chart; files in directories too."""
    code = (
        "import os\nos.makedirs('out')\nplt.plot([1]); plt.savefig('out/x.png', dpi=50); plt.close()\n"
        "plt.imsave('y.jpg', np.zeros((9, 7, 3)))"
    )
    result = client.execute(code)
    assert ["out/x.png", "y.jpg"] == [chart.file_name for chart in result.charts]
    assert [(320, 240), (7, 9)] == [(chart.width_px, chart.height_px) for chart in result.charts]
    assert {"out/x.png", "y.jpg"} == set(result.files)


def test_colour_names_are_matplotlibs_own(client: Client) -> None:
    """What the template rehearsed has left no trace: colours, settings, converters and figures are as after an import."""
    code = "from matplotlib.colors import to_hex\nprint([to_hex(c) for c in 'rgbkcmyw'], plt.get_fignums())"
    expected = "['#ff0000', '#008000', '#0000ff', '#000000', '#00bfbf', '#bf00bf', '#bfbf00', '#ffffff'] []\n"
    assert expected == client.execute(code).stdout


def test_charts_beyond_the_bound_are_counted(client: Client) -> None:
    """More figures than allowed: the first come, the rest is counted."""
    code = "plt.rcParams['figure.max_open_warning'] = 0\nfor n in range(53): plt.figure(figsize=(1, 1), dpi=20)"
    result = client.execute(code)
    assert (50, 3) == (len(result.charts), result.dropped.charts)


def test_images_sent_along_do_not_come_back(client: Client) -> None:
    """A file that was sent and not changed is neither chart nor file of the result; a changed one is."""
    png = client.execute("plt.plot([1])").charts[0].data
    result = client.execute("open('b.txt', 'a').write('more')", files={"a.png": png, "b.txt": b"some"})
    assert ((), {"b.txt": b"somemore"}) == (result.charts, dict(result.files))


def test_a_file_that_is_no_image_is_no_chart(client: Client) -> None:
    """A name alone makes no chart: bytes that are not a PNG, or a PNG of absurd size, come back as a plain file."""
    bomb = PNG + b"\0\0\0\rIHDR" + struct.pack(">II", 60_000, 60_000) + bytes(60)
    result = client.execute(
        "open('fake.png', 'wb').write(b'not a png')\nopen('bomb.png', 'wb').write(data)", variables={"data": bomb}
    )
    assert ((), {"fake.png", "bomb.png"}) == (result.charts, set(result.files))


def test_a_figure_that_cannot_be_drawn_is_counted_and_named(client: Client) -> None:
    """One figure that fails to render costs itself; the others come, and stderr says which failed."""
    result = client.execute("plt.plot([1]); plt.figure(); plt.title('$\\\\frac{$')")
    assert (1, 1) == (len(result.charts), result.dropped.charts)
    assert "figure 2" in result.stderr.lower()


def test_save_writes_the_bytes(client: Client, tmp_path) -> None:  # type: ignore[no-untyped-def]  # pytest's fixture
    """Chart.save writes what was verified."""
    chart = client.execute("plt.plot([1])").charts[0]
    assert chart.data == chart.save(tmp_path / "c.png").read_bytes()


@pytest.fixture
def reply(client: Client) -> tuple[ResultReply, bytes, bytes]:
    """A genuine reply with two charts, its job id and the daemon's key."""
    names = [
        "variables",
        "files",
        "stdin",
        "timeout_s",
        "deadline_s",
        "memory_bytes",
        "policy",
        "template",
        "rc",
        "job_id",
    ]
    nothing: dict[str, Any] = dict.fromkeys(names)
    request = build_request(
        "plt.plot([1]); plt.figure(); plt.plot([2])",
        **nothing,
        formats=("png",),
    )
    encode_request(request)
    link, daemon = client._submit(request)
    received = link.receive(request.id, 20)
    client._give_back(link)
    assert isinstance(received, ResultReply)
    return received, request.id, daemon.key


def test_a_genuine_reply_verifies(reply: tuple[ResultReply, bytes, bytes]) -> None:
    """What the daemon signed is handed out."""
    received, job_id, key = reply
    assert 2 == len(result_from(received, job_id, key).charts)


def test_forged_replies_are_withheld(reply: tuple[ResultReply, bytes, bytes]) -> None:
    """Wrong key, altered byte, swapped index, replayed job id: each raises SignatureError and hands nothing out."""
    import dataclasses

    from msgspec import structs

    received, job_id, key = reply
    first, second = received.charts
    altered = dataclasses.replace(first, data=bytes(first.data)[:-1] + b"\x00")
    renamed = dataclasses.replace(first, media_type="image/jpeg")
    forgeries = {
        "key": (received, job_id, bytes(32)),
        "byte": (structs.replace(received, charts=(altered, second)), job_id, key),
        "index": (structs.replace(received, charts=(second, first)), job_id, key),
        "job": (received, bytes(16), key),
        "type": (structs.replace(received, charts=(renamed, second)), job_id, key),
    }
    for forgery in forgeries.values():
        with pytest.raises(SignatureError):
            result_from(*forgery)


def test_replies_survive_the_wire_unchanged(reply: tuple[ResultReply, bytes, bytes]) -> None:
    """A reply that is encoded and decoded again still verifies."""
    from warmfork.wire.messages import encode_reply

    received, job_id, key = reply
    again = decode_reply([bytes(frame) for frame in encode_reply(received)])
    assert 2 == len(result_from(again, job_id, key).charts)
