"""What is done with a run's folder: samples and metrics."""

from tinygan import cli, run


def test_evaluate_prints_metrics_and_reference_values(tmp_path, few_digits, no_curves, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run.train("ring", quiet=True, data="ring", steps=5)
    run.train("mlp", quiet=True, model="mlp", width=0.1, steps=5)
    for folder, names in [("ring", ("modes", "reverse_kl")), ("mlp", ("frechet", "precision", "nearest"))]:
        assert cli.main(["evaluate", folder, "-n", "300"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split() == ["run", "reference"]
        table = {line.split()[0]: list(map(float, line.split()[1:])) for line in lines[1:]}
        assert set(names) <= set(table) and all(len(row) == 2 for row in table.values())
    assert table["frechet"][0] > 5 * table["frechet"][1]      # five steps are not enough
    assert cli.main(["evaluate", "gone"]) == 2
    assert cli.main(["evaluate", "ring", "--held-out", "mnist5k"]) == 2
    assert "new ones are drawn" in capsys.readouterr().err
