"""Pages in a real Chromium, where it is installed."""

import urllib.error
import urllib.request

import pytest

from sparsenas.chromium import find_browser
from sparsenas.errors import UserError
from sparsenas.visit import Site, visit


@pytest.fixture(autouse=True)
def browser():
    try:
        find_browser()
    except UserError as error:
        pytest.skip(str(error))


def test_a_script_reads_files_and_gives_an_answer(tmp_path):
    (tmp_path / "a.txt").write_text("from the folder")
    script = """
    export async function run() {
      const text = async (name) => (await fetch(name)).text();
      return (await Promise.all(["a.txt", "b.txt", "more/a.txt"].map(text))).join(", ");
    }"""
    found = visit(script, folder=tmp_path, more={"b.txt": b"from memory"}, folders={"more": tmp_path})
    assert found == b"from the folder, from memory, from the folder"


def test_progress_is_told_and_is_no_answer():
    script = """
    export async function run(report) {
      for (const done of [1, 2]) await report(done, 2, `step ${done}`);
      return "end";
    }"""
    told = []
    assert visit(script, report=lambda *progress: told.append(progress)) == b"end"
    assert told == [(1, 2, "step 1"), (2, 2, "step 2")]


def test_what_a_script_throws_is_one_line():
    with pytest.raises(UserError, match="cannot run it: Error: out of luck"):
        visit('export async function run() { throw new Error("out of luck"); }')
    with pytest.raises(UserError, match="cannot run it: SyntaxError"):
        visit("export function function")


def test_a_script_that_says_nothing_is_given_up():
    with pytest.raises(UserError, match="said nothing for 2 seconds"):
        visit("export async function run() { await new Promise(() => {}); }", within_seconds=2)


def test_a_site_serves_its_folder_and_nothing_else(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("<p>hello")
    (tmp_path / "secret").write_text("secret")
    with Site(folder) as site:
        with urllib.request.urlopen(site.address) as answer:
            assert answer.headers["Content-Type"].startswith("text/html")
            assert answer.read() == b"<p>hello"
        start = "/".join(site.address.split("/")[:3])
        for address in (f"{start}/index.html", f"{site.address}../secret", f"{site.address}%2e%2e/secret"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(address)
