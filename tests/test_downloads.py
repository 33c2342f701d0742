"Downloads from a real server that misbehaves, and archives that nobody should unpack."
import io, os, random, signal, socket, stat, subprocess, sys, tarfile, threading, time, zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from covid_mtnet.core import InputError, sha256
from covid_mtnet.downloads import download, extract, fetch_kaggle, git_blob

BODY = random.Random(0).randbytes(300_000)
PAGE = b"<!DOCTYPE html>\n<html><head><title>Please sign in</title></head><body>" + b"x" * 500


class Server(BaseHTTPRequestHandler):
    "The first word of the path says how it misbehaves."
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass

    def do_GET(self):
        kind = self.path.split("/")[1]
        start = int(self.headers["Range"][6:].split("-")[0]) if self.headers["Range"] else 0
        self.server.asked.append((kind, start))
        turn = sum(k == kind for k, _ in self.server.asked)
        if kind == "missing": return self.answer(404, PAGE)
        if kind == "page": return self.answer(200, PAGE)
        if kind == "busy" and turn < 3: return self.answer(503, b"busy")
        if kind == "liar":
            return self.answer(206 if start else 200, BODY[:1000], {"Content-Range": f"bytes 5-1004/{len(BODY)}"})
        if kind == "norange": start = 0
        body = BODY[::-1] if kind == "renewed" and turn > 1 else BODY
        if body is not BODY and self.headers["If-Range"] == '"1"': start = 0  # The part is of an older file
        if kind == "unsized": return self.unsized()
        if start >= len(BODY): return self.answer(416, b"", {"Content-Range": f"bytes */{len(BODY)}"})
        tag = {"ETag": '"1"' if body is BODY else '"2"'} if kind == "renewed" else {}
        rest = body[start:]
        upto = {"cut": 100_000, "norange": 100_000 if turn == 1 else None,
                "renewed": 100_000 if turn == 1 else None, "dead": 100_000 if turn == 1 else 0}.get(kind)
        self.answer(206 if start else 200, rest,
                    tag | ({"Content-Range": f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"} if start else {}),
                    upto, .05 if kind == "slow" else 0)

    def answer(self, code, body, headers={}, upto=None, pause=0):
        try:
            self.send_response(code)
            for k, v in headers.items(): self.send_header(k, v)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for n in range(0, len(body[:upto]), 10_000):
                self.wfile.write(body[:upto][n:n + 10_000])
                time.sleep(pause)
            if upto is not None:
                self.wfile.flush(); self.close_connection = True; self.connection.shutdown(socket.SHUT_RDWR)
        except OSError: pass

    def unsized(self):
        "A whole file of which nobody says how long it is."
        self.send_response(200); self.send_header("Connection", "close"); self.end_headers()
        try: self.wfile.write(BODY)
        except OSError: pass


@pytest.fixture
def server():
    s = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    s.asked, s.url = [], f"http://127.0.0.1:{s.server_port}"
    threading.Thread(target=s.serve_forever, args=(.02,), daemon=True).start()
    yield s
    s.shutdown(); s.server_close()


def names(folder): return sorted(p.name for p in Path(folder).iterdir())


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "zip"])
def test_a_damaged_archive_is_never_unpacked_in_part(kind, tmp_path):
    for n in range(5): (tmp_path / f"f{n}.bin").write_bytes(random.Random(n).randbytes(2000))
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
            for n in range(5): z.write(tmp_path / f"f{n}.bin", f"f{n}.bin")
    else:
        with tarfile.open(path, f"w:{kind[4:]}", format=tarfile.USTAR_FORMAT) as t:
            for n in range(5): t.add(tmp_path / f"f{n}.bin", f"f{n}.bin")
    whole = path.read_bytes()
    assert names(extract(path, tmp_path / "out")) == [f"f{n}.bin" for n in range(5)]
    cuts = [whole[:3 * 2560], whole[:3 * 2560 + 100]] if kind == "tar" else []
    flips = [whole[:i] + bytes([whole[i] ^ 255]) + whole[i + 1:]
             for i in ((2 * 2560 + 10,) if kind == "tar" else range(60, len(whole) - 200, 997))]
    for k, data in enumerate(cuts + flips):
        path.write_bytes(data)
        try: got = extract(path, tmp_path / f"again{k}")
        except InputError: assert not (tmp_path / f"again{k}").exists()
        else: assert all((got / f"f{n}.bin").read_bytes() == (tmp_path / f"f{n}.bin").read_bytes() for n in range(5)), k


def test_a_cut_connection_goes_on_where_it_stopped(server, tmp_path):
    assert download(f"{server.url}/cut/a.png", tmp_path / "a.png", sha256=sha256(BODY), wait=.01).read_bytes() == BODY
    starts = [s for _, s in server.asked]
    assert len(starts) == 4 and starts[0] == 0
    assert all(80_000 < b - a <= 100_000 for a, b in zip(starts, starts[1:])) and names(tmp_path) == ["a.png"]


def test_a_server_that_ignores_the_range_is_read_from_the_start(server, tmp_path):
    assert download(f"{server.url}/norange/a.png", tmp_path / "a.png",
                    sha256=sha256(BODY), wait=.01).read_bytes() == BODY
    assert [k for k, _ in server.asked] == ["norange"] * 2 and server.asked[1][1] > 0 and names(tmp_path) == ["a.png"]


def test_a_dead_server_leaves_a_part_and_the_next_call_goes_on(server, tmp_path):
    said = (r"expected the whole file, found a (cut|broken) connection.* in 3 attempts; "
            r"\d+ bytes are kept, run again to go on")
    with pytest.raises(InputError, match=said):
        download(f"{server.url}/dead/a.png", tmp_path / "a.png", sha256=sha256(BODY), wait=.01, retries=3)
    assert names(tmp_path) == ["a.png.part"]
    kept = (tmp_path / "a.png.part").stat().st_size
    assert 80_000 < kept <= 100_000
    download(f"{server.url}/whole/a.png", tmp_path / "a.png", sha256=sha256(BODY))
    assert server.asked[-1] == ("whole", kept) and names(tmp_path) == ["a.png"]


def test_a_complete_part_is_not_fetched_again(server, tmp_path):
    (tmp_path / "a.png.part").write_bytes(BODY)
    assert download(f"{server.url}/whole/a.png", tmp_path / "a.png", sha256=sha256(BODY)).read_bytes() == BODY
    assert server.asked == [("whole", len(BODY))]


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "a.png.part").write_bytes(BODY + b"more")
    assert download(f"{server.url}/whole/a.png", tmp_path / "a.png", sha256=sha256(BODY), wait=.01).read_bytes() == BODY


def test_without_a_hash_an_old_part_is_not_trusted(server, tmp_path):
    (tmp_path / "a.png.part").write_bytes(b"from another day")
    assert download(f"{server.url}/whole/a.png", tmp_path / "a.png").read_bytes() == BODY
    assert server.asked == [("whole", 0)]


def test_a_file_that_changes_in_between_is_read_anew(server, tmp_path):
    assert download(f"{server.url}/renewed/a.png", tmp_path / "a.png", wait=.01).read_bytes() == BODY[::-1]


def test_a_wrong_hash_leaves_nothing(server, tmp_path):
    with pytest.raises(InputError, match=f"expected sha256 {'0' * 64}, found sha256 {sha256(BODY)}"):
        download(f"{server.url}/whole/a.png", tmp_path / "a.png", sha256="0" * 64)
    with pytest.raises(InputError, match=f"expected the git object {'0' * 40}, found {git_blob(BODY)}"):
        download(f"{server.url}/whole/a.png", tmp_path / "a.png", blob="0" * 40)
    assert names(tmp_path) == []


def test_a_right_file_is_not_fetched_again_and_a_wrong_one_is(server, tmp_path):
    for check in ({"sha256": sha256(BODY)}, {"blob": git_blob(BODY)}):
        server.asked.clear()
        (tmp_path / "a.png").write_bytes(b"damaged")
        for _ in range(2):
            assert download(f"{server.url}/whole/a.png", tmp_path / "a.png", **check).read_bytes() == BODY
        assert len(server.asked) == 1


def test_a_404_page_is_one_clear_error_at_once(server, tmp_path):
    with pytest.raises(InputError, match="missing/a.png: expected a file, found HTTP 404 Not Found"):
        download(f"{server.url}/missing/a.png", tmp_path / "a.png")
    assert len(server.asked) == 1 and names(tmp_path) == []


def test_a_page_instead_of_an_image_is_refused(server, tmp_path):
    for check in ({}, {"sha256": sha256(BODY)}, {"blob": git_blob(BODY)}):
        with pytest.raises(InputError, match="expected a data file, found an HTML page titled 'Please sign in'"):
            download(f"{server.url}/page/a.png", tmp_path / "a.png", **check)
    assert names(tmp_path) == []


def test_a_busy_server_is_asked_again(server, tmp_path):
    assert download(f"{server.url}/busy/a.png", tmp_path / "a.png", sha256=sha256(BODY), wait=.01).read_bytes() == BODY


def test_an_answer_for_other_bytes_is_not_appended(server, tmp_path):
    other = ("expected the whole file, found an answer for other bytes than asked in 1 attempts; "
             "0 bytes are kept")
    for retries, said in ((1, other), (2, f"found sha256 {sha256(BODY[:1000])}")):
        (tmp_path / "a.png.part").write_bytes(BODY[:50])
        with pytest.raises(InputError, match=said):
            download(f"{server.url}/liar/a.png", tmp_path / "a.png", sha256=sha256(BODY), wait=.01, retries=retries)
        assert "a.png" not in names(tmp_path)


def test_too_large_and_nobody_there(server, tmp_path):
    with pytest.raises(InputError, match="expected at most 1000 bytes, found 300000"):
        download(f"{server.url}/whole/a.png", tmp_path / "a.png", max_bytes=1000)
    with socket.socket() as s: s.bind(("127.0.0.1", 0)); port = s.getsockname()[1]
    with pytest.raises(InputError, match="connection refused in 2 attempts"):
        download(f"http://127.0.0.1:{port}/a.png", tmp_path / "a.png", wait=.01, retries=2)
    with pytest.raises(InputError, match="expected an http or https address"):
        download("file:///etc/hosts", tmp_path / "a.png")
    assert "a.png" not in names(tmp_path)


def test_a_file_of_unknown_length_is_cut_off_when_it_is_too_large(server, tmp_path):
    assert download(f"{server.url}/unsized/a.png", tmp_path / "a.png", max_bytes=len(BODY)).read_bytes() == BODY
    with pytest.raises(InputError, match="unsized/b.png: expected at most 299999 bytes, found more"):
        download(f"{server.url}/unsized/b.png", tmp_path / "b.png", max_bytes=len(BODY) - 1)
    assert "b.png" not in names(tmp_path)


def test_kill_in_the_middle_leaves_no_whole_looking_file(server, tmp_path):
    code = ("from covid_mtnet.downloads import download; "
            f"download('{server.url}/slow/a.png', r'{tmp_path / 'a.png'}', sha256='{sha256(BODY)}')")
    p = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    part, until = tmp_path / "a.png.part", time.time() + 20
    while not (part.exists() and part.stat().st_size > 30_000) and time.time() < until: time.sleep(.01)
    os.kill(p.pid, signal.SIGKILL); p.wait()
    assert part.exists() and not (tmp_path / "a.png").exists()
    kept = part.stat().st_size
    download(f"{server.url}/whole/a.png", tmp_path / "a.png", sha256=sha256(BODY))
    assert server.asked[-1] == ("whole", kept) and (tmp_path / "a.png").read_bytes() == BODY


# archives

def a_zip(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in members.items():
            z.writestr(*((data, b"x") if isinstance(data, zipfile.ZipInfo) else (name, data)))
    return path


def a_tar(path, *members):
    with tarfile.open(path, "w:gz") as t:
        for name, kind, link in members:
            i = tarfile.TarInfo(name); i.type, i.linkname = kind, link
            data = b"x" if kind == tarfile.REGTYPE else b""
            i.size = len(data); t.addfile(i, io.BytesIO(data))
    return path


def linked(name):
    i = zipfile.ZipInfo(name); i.create_system, i.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return i


@pytest.mark.parametrize("name, found", [("../evil", "'..'"), ("a/../../evil", "'..'"), ("..\\evil", "'..'"),
                                         ("/evil", "absolute"), ("C:\\evil", "absolute"),
                                         ("\\\\host\\evil", "absolute")])
def test_names_that_lead_out(tmp_path, name, found):
    for archive in (a_zip(tmp_path / "a.zip", **{"good.png": b"x", name: b"x"}),
                    a_tar(tmp_path / "a.tar.gz", ("good.png", tarfile.REGTYPE, ""), (name, tarfile.REGTYPE, ""))):
        with pytest.raises(InputError, match=f"expected names inside the target folder, found .*{found}"):
            extract(archive, tmp_path / "in" / "out")
    assert names(tmp_path) in (["a.tar.gz", "a.zip"], ["a.tar.gz", "a.zip", "in"])
    assert not list(tmp_path.rglob("*evil*")) and not list(tmp_path.rglob("good.png"))


def test_links_and_devices(tmp_path):
    bad = [a_zip(tmp_path / "link.zip", link=linked("link"))]
    bad += [a_tar(tmp_path / f"{n}.tar.gz", ("good.png", tarfile.REGTYPE, ""),
                  ("x", kind, to), ("x/evil", tarfile.REGTYPE, ""))
            for n, kind, to in (("sym", tarfile.SYMTYPE, "../../outside"),
                                ("hard", tarfile.LNKTYPE, "../../etc/passwd"), ("inner", tarfile.SYMTYPE, "good.png"),
                                ("fifo", tarfile.FIFOTYPE, ""), ("dev", tarfile.CHRTYPE, ""))]
    for archive in bad:
        with pytest.raises(InputError, match="expected plain files and folders, found a (link|device)"):
            extract(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list(tmp_path.rglob("good.png"))


def test_bombs(tmp_path):
    bomb = a_zip(tmp_path / "bomb.zip", zeros=b"\0" * (70 << 20))
    with pytest.raises(InputError, match="expected at most 200 times its size"): extract(bomb, tmp_path / "out")
    with pytest.raises(InputError, match="expected at most 1000 bytes unpacked"):
        extract(bomb, tmp_path / "out", max_bytes=1000)
    with pytest.raises(InputError, match="expected at most 5 files"):
        extract(a_zip(tmp_path / "many.zip", **{str(n): b"" for n in range(6)}), tmp_path / "out", max_files=5)
    assert names(tmp_path) == ["bomb.zip", "many.zip"]


def test_a_zip_that_declares_less_than_it_holds(tmp_path):
    honest = a_zip(tmp_path / "a.zip", data=b"\0" * 100_000).read_bytes()
    lie = honest.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    (tmp_path / "a.zip").write_bytes(lie)
    with pytest.raises(InputError,
                       match="a.zip: expected a whole zip or tar archive, found Bad CRC-32 for file 'data'"):
        extract(tmp_path / "a.zip", tmp_path / "out")
    assert names(tmp_path) == ["a.zip"]


def test_broken_archives(tmp_path):
    whole = a_zip(tmp_path / "a.zip", **{f"{n}.png": BODY[:5000] for n in range(20)}).read_bytes()
    for n, data in enumerate((whole[:-40], b"no archive", whole.replace(BODY[:40], b"?" * 40, 1),
                              a_tar(tmp_path / "t.tar.gz",
                                    *[(f"{k}", tarfile.REGTYPE, "") for k in range(50)]).read_bytes()[:-60])):
        (tmp_path / "b").write_bytes(data)
        with pytest.raises(InputError, match="b: expected a whole zip or tar archive"):
            extract(tmp_path / "b", tmp_path / "out")
        assert not (tmp_path / "out").exists(), n
    with pytest.raises(InputError, match="expected an archive, found nothing there"):
        extract(tmp_path / "none.zip", tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as z:
        with pytest.warns(UserWarning, match="Duplicate"): z.writestr("a", b"1"); z.writestr("a", b"2")
    with pytest.raises(InputError, match="expected each name once"): extract(tmp_path / "twice.zip", tmp_path / "out")


def test_a_good_archive_and_nothing_is_overwritten(tmp_path):
    archive = a_zip(tmp_path / "a.zip", **{"train/a.png": b"1", "test/b.png": b"2"})
    assert (extract(archive, tmp_path / "out") / "train/a.png").read_bytes() == b"1"
    with pytest.raises(InputError, match="expected an empty or new folder"): extract(archive, tmp_path / "out")
    for kind in ("", "gz", "bz2", "xz"):
        with tarfile.open(tmp_path / "a.tar", f"w:{kind}") as t: t.add(tmp_path / "out", "top")
        assert (extract(tmp_path / "a.tar", tmp_path / f"tar{kind}") / "top/test/b.png").read_bytes() == b"2"


def test_kaggle_without_its_package_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    said = ("pip install covid_mtnet.kaggle.*kaggle.com/datasets/kmader/finding-lungs-in-ct-data"
            ".*lung_seg_ct/originals.*data verify lung_seg_ct")
    with pytest.raises(InputError, match=said):
        fetch_kaggle("kmader/finding-lungs-in-ct-data", "lung_seg_ct", tmp_path)
