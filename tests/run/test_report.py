"""The page of a run, and runs side by side."""

import base64
import html.parser
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinygan import cli, data, run
from tinygan.errors import DataError, MissingError
from tinygan.run import Config, report, results


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    run.train(folder / "digits", quiet=True, model="mlp", width=0.1, steps=6, batch=50, penalty="r1", gamma="1:0.1",
              average=0.9, loss="relativistic")
    run.train(folder / "ring", quiet=True, data="ring", steps=5)
    return folder


class Page(html.parser.HTMLParser):
    """Notes the tags, whether they are closed in order, and everything that points elsewhere."""
    VOID = {"meta", "img", "br", "link", "input", "hr"}

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.elsewhere, self.words = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "img":
            kind, content = re.fullmatch(r"data:image/(png|gif);base64,(.*)", attrs["src"]).groups()
            self.images.append((kind, base64.b64decode(content, validate=True)))
        if tag in ("script", "link", "iframe") or (tag != "img" and {"src", "href"} & set(attrs)):
            self.elsewhere.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.words.append(text)


def test_the_page_holds_everything_and_needs_nothing(runs, few_digits):
    path = report.write(runs / "digits", n=150)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert not page.elsewhere and "http" not in text
    assert [kind for kind, _ in page.images] == ["png", "gif", "png", "png", "png", "png"]
    assert page.images[0][1] == (runs / "digits/samples.png").read_bytes()
    words = " ".join(page.words)
    for word in ("frechet", "reference", "Nearest training images", "Dense(784, 26)", "‖∂loss/∂θ‖", "--penalty r1",
                 "Interpolations", "2·log 2 ≈ 1.386"):
        assert word in words, word


def test_the_command_on_the_page_repeats_the_run(runs, tmp_path):
    config = Config(model="mlp", width=0.1, steps=6, batch=50, penalty="r1", gamma="1:0.1", average=0.9,
                    loss="relativistic", data="a file.npz", spectral=True)
    line = report.command(config)
    assert "'a file.npz'" in line and "--spectral " in line + " "
    import shlex
    args = cli._parser().parse_args(shlex.split(line)[1:])
    assert all(getattr(args, name) == value for name, value in vars(config).items() if value != getattr(Config(), name))
    options, _ = results.read_config(runs / "digits/config.json")
    words = shlex.split(report.command(Config(**options)))[1:]
    assert cli.main([*words, "--quiet", "--no-report", "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again/samples.png").read_bytes() == (runs / "digits/samples.png").read_bytes()


def test_pictures_say_what_their_captions_say(runs):
    gan, (real, _) = results.load(runs / "digits", seed=0), data.load("mnist5k")
    path = report.interpolations(gan, pairs=2, steps=5).reshape(2, 5, 28, 28, 1)
    rng = np.random.default_rng(1)
    a, b = gan.noise(2, rng), gan.noise(2, rng)
    np.testing.assert_allclose(path[:, 0], gan.sample(z=a), atol=1e-6)
    np.testing.assert_allclose(path[:, -1], gan.sample(z=b), atol=1e-6)
    rows = report.nearest(gan, real[:50], n=2, k=3).reshape(2, 4, -1)
    distance = lambda x, y: ((x - y)**2).sum(-1)
    for sample, *others in rows:
        found = [distance(sample, other) for other in others]
        assert found == sorted(found)
        np.testing.assert_allclose(found[0], distance(sample, real[:50].reshape(50, -1)).min(), rtol=1e-5)


def test_gradients_are_those_of_a_step_and_change_nothing(runs):
    gan = results.load(runs / "digits", seed=0)
    before = gan.G.theta.copy(), gan.D.theta.copy()
    rows = report.gradients(gan, Config(batch=20, penalty="r1", gamma="1:0.1"), data.load("mnist5k")[0])
    assert [row[0] for row in rows] == ["D", "D", "G", "G", "G"] and all(g > 0 and t > 0 for *_, g, t in rows)
    np.testing.assert_array_equal(gan.G.theta, before[0])
    np.testing.assert_array_equal(gan.D.theta, before[1])


def test_records_are_those_of_a_step_of_g(runs):
    """Its chain from z to the logit and back; the game stays as it is. Here of a conditional game on packs, too."""
    from tinygan import GAN, models
    x, labels = data.load("mnist5k")
    for gan in (results.load(runs / "digits", seed=0), GAN(*models.mlp(rng=0, width=0.1, classes=10), rng=1),
                GAN(*models.mlp(rng=0, width=0.1, pack=2), rng=1, noise_std=0.1)):
        before = gan.G.theta.copy(), gan.D.theta.copy()
        records = report.inside(gan, 20, x, labels if gan.classes else None)
        names = [record.name for record in records]
        middle = names.index("D: input")
        assert names[0] == "G: input" and len(records) == 2 + len(gan.G.layers) + len(gan.D.layers)
        of_g, of_d = records[middle - 1], records[middle]
        assert of_g.output.shape == of_g.gradient.shape == (20, 28, 28, 1)
        np.testing.assert_array_equal(of_g.gradient, of_d.gradient[..., :1])
        assert records[-1].output.shape[-1] == 1 and all(record.norms[1] > 0 for record in records)
        np.testing.assert_array_equal(gan.G.theta, before[0])
        np.testing.assert_array_equal(gan.D.theta, before[1])


def test_points_have_a_page_too(runs, capsys):
    assert cli.main(["report", str(runs / "ring"), "-n", "300"]) == 0
    out = capsys.readouterr().out.strip()
    assert "high_quality" in " ".join(Page(Path(out).read_text(encoding="utf-8")).words)


def test_side_by_side(runs, tmp_path, capsys):
    out = tmp_path / "c.png"
    assert cli.main(["compare", str(runs / "digits"), str(runs / "ring"), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^steps +6 +5$", text, re.M) and re.search(r"^model +mlp +points$", text, re.M)
    assert not re.search(r"^seed", text, re.M)              # the same in both
    with Image.open(out) as picture:
        assert picture.size[0] > 800


def test_damaged_folders(runs, tmp_path):
    with pytest.raises(MissingError):
        report.write(tmp_path)
    copy = tmp_path / "r"
    copy.mkdir()
    for path in (runs / "ring").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    for content in (b"", b"step,d_loss\n1,x\n", b"\xff\xfe", b"a,b\n1\n"):
        (copy / "log.csv").write_bytes(content)
        with pytest.raises(DataError, match="log"):
            report.write(copy, n=0)
    (copy / "log.csv").unlink()
    with pytest.raises(MissingError, match="log.csv"):
        report.write(copy, n=0)


def test_what_is_asked_for_wrongly_is_said(runs, tmp_path, capsys):
    assert cli.main(["report", str(runs / "digits"), "--held-out", "nonsense"]) == 2
    assert cli.main(["report", str(runs / "digits"), "-n", "50"]) == 2
    assert "unknown data" in (err := capsys.readouterr().err) and "at least 100 digits" in err
