"""Tables are written between the markers of a page."""

import pytest
from _pages import write_table
from helpers import input_error

GRID = [["backend", "share"], ["numpy", "98.50 %"], ["torch", "about 87 % (training)"]]
PAGE = """a
<!-- table: t -->
| 后端 | 比例 |
| --- | --- |
| 甲 | 1% |
| 乙 | 约 87% |

old
<!-- end -->
b
"""


def test_only_the_numbers_of_a_chinese_page_change(tmp_path):
    for name, rows in (
        (
            "page.md",
            "| backend | share |\n| --- | --- |\n| numpy | 98.50 % |\n| torch | about 87 % (training) |\n",
        ),
        ("page.zh.md", "| 后端 | 比例 |\n| --- | --- |\n| 甲 | 98.50% |\n| 乙 | 约 87% |\n"),
    ):
        page = tmp_path / name
        page.write_text(PAGE, encoding="utf-8")
        write_table(page, "t", GRID, "note")
        expected = f"a\n<!-- table: t -->\n{rows}\nnote\n<!-- end -->\nb\n"
        assert page.read_text(encoding="utf-8") == expected
        write_table(page, "t", GRID)
        assert page.read_text(encoding="utf-8") == expected.replace("\nnote\n", "")


@pytest.mark.parametrize(
    ("name", "grid", "message"),
    [("other", GRID, "has no table 'other'"), ("t", GRID[:2], "another number of rows")],
)
def test_a_page_without_this_table_is_refused(tmp_path, name, grid, message):
    page = tmp_path / "page.zh.md"
    page.write_text(PAGE, encoding="utf-8")
    with input_error(message):
        write_table(page, name, grid)
    with input_error("cannot be read"):
        write_table(tmp_path / "none.md", "t", GRID)
