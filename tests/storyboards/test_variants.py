"""Tables of variants, from YAML and CSV, and the films made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.errors import StoryboardError
from storyboards.film import film_shots
from storyboards.resolve import load_film, load_films
from storyboards.variants import load_variants

DECLARED = {"product": "Mug", "seconds": 3, "loud": False}

BOARD = """\
version: 1
variables: {product: Mug, seconds: 3}
variants: rows.csv
project: {code: AD, title: "{{ product }}"}
scenes:
  - id: sc
    slugline: s
    shots:
      - {id: a, duration: "{{ seconds }}", action: "A {{ product }}."}
"""


def table(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_three_ways_to_write_a_table_say_the_same(tmp_path: Path) -> None:
    rows = table(tmp_path, "a.yaml", "- {name: x, product: 12, seconds: 2}\n- {name: y}\n")
    named = table(tmp_path, "b.yaml", "x: {product: '12', seconds: 2}\ny: {}\n")
    assert load_variants(rows, DECLARED) == load_variants(named, DECLARED)
    cells = table(tmp_path, "c.csv", 'name,product,seconds,loud\nx,"12",2,false\n')
    (variant,) = load_variants(cells, DECLARED)
    assert variant.values == {"product": "12", "seconds": 2, "loud": False}


def test_rows_without_a_name_are_numbered(tmp_path: Path) -> None:
    rows = load_variants(table(tmp_path, "a.csv", "product\nMug\nCup\n"), DECLARED)
    assert [row.name for row in rows] == ["001", "002"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "name,prodct\nx,1\n", ['2:2: x.prodct: unknown variable "prodct"']),
        ("a.csv", "name,product\nx,\n", ["2:2: x.product: expected a value, got nothing"]),
        ("a.csv", "name,product\nx\n", ["2:1: variants: expected 2 cells"]),
        ("a.csv", "name,product\nx,1\nX,2\n", ['3:1: X: the name "X" is here twice, first in']),
        ("a.csv", "name,product,product\nx,1,2\n", ['1:3: variants.product: the column "product"']),
        ("a.csv", "name,seconds\nx,two\n", ["2:2: x.seconds: expected a number"]),
        ("a.csv", 'name,product\nx,"a\nb"\ny,\n', ["4:2: y.product: expected a value"]),
        ("a.csv", "name,product\n", ["1:1: variants: expected at least one row"]),
        ("a.csv", "product\n" + "x\n" * 1001, ["1002:1: variants: expected at most 1000 rows"]),
        ("a.csv", 'name,product\nx,"a\n', ["2:1: variants: this is not CSV"]),
        ("a.yaml", "- {name: x, prodct: 1}\n", ["1:21: x.prodct: unknown variable"]),
        ("a.yaml", "x: {product: }\ny: {loud: 3}\n",
         ["1:14: x.product: expected a value", "2:11: y.loud: expected true or false"]),
        ("a.yaml", "x: {product: [1]}\n", ["1:14: x.product: expected text, a number"]),
        ("a.yaml", "- {name: a/b}\n", ["1:10: variants: expected a name"]),
        ("a.yaml", "just text\n", ["1:1: variants: expected a list of rows"]),
        ("a.yaml", "x: {product: 1}\nx: {product: 2}\n", ['2:1: variants: the key "x"']),
    ],
)  # fmt: skip
def test_every_problem_of_a_table_has_its_place(
    tmp_path: Path, name: str, text: str, expected: list[str]
) -> None:
    path = table(tmp_path, name, text)
    with pytest.raises(StoryboardError) as caught:
        load_variants(path, DECLARED)
    found = str(caught.value).splitlines()
    assert len(found) == len(expected), found
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(f"{path}:{start}"), line


def test_each_row_makes_a_film(tmp_path: Path) -> None:
    table(tmp_path, "rows.csv", "name,product,seconds\ncup,Cup,2\njug,Jug,1.5\n")
    board = table(tmp_path, "ad.yaml", BOARD)
    films = load_films(board)
    assert [(film.variant, film.title) for film in films] == [("cup", "Cup"), ("jug", "Jug")]
    assert [film_shots(film)[0].num_frames for film in films] == [48, 36]
    assert load_film(board).title == "Mug"
    overruled = load_film(board, variant="jug", variables={"seconds": 4})
    assert film_shots(overruled)[0].num_frames == 96
    with pytest.raises(StoryboardError, match=r'unknown variant "jgu".*did you mean "jug"'):
        load_film(board, variant="jgu")


def test_a_problem_of_one_row_names_the_row(tmp_path: Path) -> None:
    table(tmp_path, "rows.csv", "name,product,seconds\ncup,Cup,2\njug,Jug,0\n")
    with pytest.raises(StoryboardError) as caught:
        load_films(table(tmp_path, "ad.yaml", BOARD))
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (9, 27)
    assert problem.what.endswith("(in variant jug)")


def test_a_table_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoryboardError, match=r'3:11: variants: there is no file "rows.csv"'):
        load_films(table(tmp_path, "ad.yaml", BOARD))
