"""How text is cut into paragraphs, and streams into sections."""

from __future__ import annotations

import io
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentclf import text as text_module
from consentclf.text import MAX_PARAGRAPH, sections, split

SPACES = "".join(chr(c) for c in range(0x3001) if chr(c).isspace()) + "\u200b\u2060\ufeff\u00ad\u180e"
JOINERS = "\u200c\u200d"

ENGLISH = (
    "The ferry left the island an hour late because the harbour master had mislaid the key to the gate, and "
    "by the time it was found the tide had turned. Nobody complained; the passengers sat on their suitcases "
    "and watched a seal that had come up beside the pier to look at them, as it did on most evenings in May."
)
GERMAN = (
    "Die Gemeinde hat am Montag den Bau einer Brücke über den Mühlbach beschlossen, obwohl der Rat noch im "
    "Frühjahr dagegen gewesen war. Nach Angaben der Verwaltung sollen die Kosten durch Spenden der Anwohner "
    "und durch einen Zuschuss des Kreises gedeckt werden, der allerdings noch nicht bewilligt ist."
)
CHINESE = (
    "市政府昨天宣布，老城区的图书馆将在明年春天重新开放。修缮工程历时两年，屋顶和门窗全部换新，阅览室也扩大"
    "了一倍。附近的居民说，他们最高兴的是孩子们放学以后又有地方可以安静地看书了。"
)
JAPANESE = (
    "山のふもとにある小さな駅では、毎朝七時になると駅長が花に水をやる姿が見られる。乗客は一日に二十人ほどしか"
    "いないが、駅長は一度も仕事を休んだことがないという。町の人々はその花を楽しみにしている。"
)
ARABIC = (
    "أعلنت البلدية أمس أن المكتبة القديمة ستفتح أبوابها من جديد في الربيع المقبل بعد أعمال ترميم استمرت "
    "عامين كاملين وشملت السقف والنوافذ وقاعة القراءة الكبيرة التي صارت تتسع لضعف عدد القراء. "
    "ويقول سكان الحي إنهم سعداء بعودة المكان الهادئ إلى أطفالهم."
)
THAI = (
    "สภาเมืองมีมติเห็นชอบให้สร้างสะพานคนเดินข้ามแม่น้ำแห่งใหม่\nจำนวนสามแห่งภายในปีหน้าเพื่ออำนวยความสะดวกแก่ประชาชนที่\n"
    "อาศัยอยู่ทั้งสองฝั่งและลดปัญหาการจราจรในช่วงเวลาเร่งด่วน\nโดยคาดว่าจะใช้งบประมาณราวแปดสิบล้านบาทและเริ่มก่อสร้างใน\nเดือนเมษายน"
)


def paragraphs(text: str) -> list[str]:
    spans = split(text)
    check(text, spans)
    return [text[start:end] for start, end in spans]


def check(text: str, spans: list[tuple[int, int]]) -> None:
    """What must hold for any text at all."""
    at = 0
    for start, end in spans:
        assert at <= start < end <= len(text)
        assert not text[at:start].strip(SPACES + JOINERS), "only white space may lie between paragraphs"
        assert text[start] not in SPACES + JOINERS
        assert text[end - 1] not in SPACES
        assert end - start <= text_module.MAX_PARAGRAPH
        at = end
    assert not text[at:].strip(SPACES + JOINERS)


def sliced(text: str, width: int) -> str:
    return "\n".join(text[i : i + width] for i in range(0, len(text), width))


def is_apart(text: str) -> bool:
    """Whether every line is a paragraph of its own."""
    return paragraphs(text) == [line.strip() for line in text.splitlines() if line.strip()]


# -- lines and blank lines -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", "\n", "\r\n\r\n", "\ufeff", "\u200b\n\u200d\n\u00a0", "\x0c\n\t"])
def test_text_without_content_has_no_paragraphs(text: str) -> None:
    assert split(text) == []


def test_offsets_point_into_the_source() -> None:
    assert split("  One.\n\n\tTwo. \n") == [(2, 6), (9, 13)]


def test_caption_dateline_and_call_on_three_lines_are_three_paragraphs() -> None:
    assert is_apart(
        "The ministers of both countries met in the old customs house on the border PHOTO AGENCY/Miller\n"
        "Westport, 8 October 2020.\nFollow the Courier on Telegram"
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_every_kind_of_line_end_ends_a_line_and_two_make_a_blank_line(end: str) -> None:
    assert paragraphs(f"One.{end}Two.{end}") == ["One.", "Two."]
    wrapped = textwrap.fill(ENGLISH, 72).replace("\n", end)
    assert paragraphs(wrapped) == [wrapped]
    halves = wrapped.replace(end, end + end, 1)
    assert len(paragraphs(halves)) == 2


def test_line_of_zero_width_characters_is_blank() -> None:
    first, rest = textwrap.fill(ENGLISH, 72).split("\n", 1)
    assert paragraphs(f"{first}\n\u200b\u200d\u00a0\n{rest}") == [first, rest]


def test_byte_order_mark_and_no_break_spaces_are_trimmed() -> None:
    assert paragraphs("\ufeff\u00a0Title\u200b\u00a0\n\ufeffBody\u00ad") == ["Title", "Body"]


def test_joiner_that_ends_a_word_stays_with_it() -> None:
    assert paragraphs("\u200dഅവന്\u200d \n") == ["അവന്\u200d"]


# -- wrapped prose -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [50, 60, 66, 72, 78, 100])
@pytest.mark.parametrize("prose", [ENGLISH, GERMAN, ARABIC], ids=["english", "german", "arabic"])
def test_wrapped_prose_is_joined(prose: str, width: int) -> None:
    wrapped = textwrap.fill(prose, width)
    assert paragraphs(f"{wrapped}\n\n{wrapped}\n") == [wrapped, wrapped]


@pytest.mark.parametrize("width", [30, 36, 40])
@pytest.mark.parametrize("prose", [CHINESE, JAPANESE], ids=["chinese", "japanese"])
def test_wrapped_chinese_and_japanese_is_joined(prose: str, width: int) -> None:
    wrapped = sliced(prose, width)
    assert paragraphs(f"{wrapped}\n\n{wrapped}\n") == [wrapped, wrapped]


def test_wrapped_thai_is_joined() -> None:
    assert paragraphs(THAI) == [THAI]


@pytest.mark.parametrize("prose", [ENGLISH, GERMAN], ids=["english", "german"])
def test_first_line_indents_part_wrapped_paragraphs(prose: str) -> None:
    wrapped = textwrap.fill(prose, 70, initial_indent="    ")
    assert paragraphs(f"{wrapped}\n{wrapped}\n{wrapped}") == [wrapped.strip()] * 3


def test_mail_body_is_joined_between_greeting_and_signature() -> None:
    body = textwrap.fill(ENGLISH, 68)
    assert paragraphs(f"Dear Anna,\n{body}\nBest regards\nTom") == ["Dear Anna,", body, "Best regards", "Tom"]


def test_quoted_mail_is_joined_level_by_level() -> None:
    inner = textwrap.fill(ENGLISH, 70, initial_indent="> > ", subsequent_indent="> > ")
    outer = textwrap.fill(GERMAN, 70, initial_indent="> ", subsequent_indent="> ")
    answer = "Thank you for both of these."
    assert paragraphs(f"{inner}\n{outer}\n{answer}") == [inner, outer, answer]


def test_bare_quote_mark_ends_the_quoted_paragraph() -> None:
    quoted = textwrap.fill(ENGLISH, 70, initial_indent="> ", subsequent_indent="> ")
    assert paragraphs(f"{quoted}\n>\n{quoted}") == [f"{quoted}\n>", quoted]


def test_address_too_long_for_the_column_does_not_part_a_paragraph() -> None:
    address = "https://ferries.example/" + "timetables/" * 6 + "summer.html"
    wrapped = textwrap.fill(
        f"{ENGLISH} The whole timetable is at {address} and on the board beside the harbour office as well, "
        "where it is changed in October and in March.",
        66,
        break_long_words=False,
        break_on_hyphens=False,
    )
    assert address in wrapped.splitlines()
    assert paragraphs(wrapped) == [wrapped]


# -- lines that stay apart -----------------------------------------------------------------------------------

APART = {
    "headlines of one length": """\
Council votes for three new bridges after a long night of talks
Harbour fire leaves two hundred without power until next Monday
Schools to open later this winter as heating costs rise further
Orchestra returns from its tour with a prize and a broken organ
Farmers ask for rain while the weather service promises only sun""",
    "german headlines": """\
Gemeinderat stimmt nach langer Debatte für drei neue Brücken ab
Feuer im Hafen: Zweihundert Haushalte bis Montag ohne Strom
Schulen beginnen im Winter wegen hoher Heizkosten eine Stunde später
Bauern hoffen auf Regen, der Wetterdienst verspricht nur Sonne""",
    "chinese headlines": """\
市议会批准新建三座步行桥并将于明年春季开工建设施工
老城区地铁线路改造工程进展顺利预计年底完成全部施工
河滨公园夜间照明系统升级改造完成市民反响热烈好评多""",
    "arabic headlines": """\
المجلس البلدي يوافق على بناء ثلاثة جسور جديدة للمشاة في المدينة
حريق في الميناء يترك مئتي منزل من دون كهرباء حتى صباح الاثنين
المدارس تفتح أبوابها متأخرة هذا الشتاء بسبب ارتفاع كلفة التدفئة""",
    "headline and byline": """\
How a retired baker taught a whole valley to repair its own clocks
by Maria Lindqvist""",
    "whole sentences": """\
The bridge was closed on Monday after a crack was found.
Engineers had warned of it for more than three years.
The council now wants to spend two million on a new one.
Nobody could say on Tuesday how long the work would take.
Until then the bus takes a detour through the old town.""",
    "verse with capitals": """\
The lamps go down along the quiet harbour wall,
And every boat that sleeps there dreams of being far,
For all the winter long it hears the sea-birds call
To one who left and followed nothing but a star.""",
    "verse without capitals": """\
where the long reeds bend over the grey water at evening
and no one comes
but the wind that was there before any of us were born
walks
and the heron, who has forgotten what it was waiting for""",
    "recipe": """\
200 g flour
a pinch of salt
butter for the tin
Beat the eggs with the sugar until the mixture is pale and thick.
Fold in the flour and bake at 180 degrees for thirty minutes.""",
    "address": "Northern Ledger Ltd\n12 Quay Street\nWestport WP1 4AB\nTelephone 0555 010 020",
    "menu": "Home\nNews\nopinion\nSport\niPhone\nTV & radio\nlog in",
    "list without marks": """\
poor sleep that goes on for more than a month or two,
loss of appetite and of interest in company,
frequent headaches and a stiff neck,
tiredness.""",
    "sources": """\
Sources: https://one.example/a/rather/long/path/to/the/first.html 21.05.19
https://two.example/another/path/of/about/the/same/length.html 22.05.19
https://three.example/yet/another/path/that/is/not/short.html 23.05.19""",
}


@pytest.mark.parametrize("text", APART.values(), ids=APART.keys())
def test_lines_stay_apart(text: str) -> None:
    assert is_apart(text)


# -- Markdown ------------------------------------------------------------------------------------------------


def test_menu_of_links_is_one_paragraph_a_link() -> None:
    assert is_apart(
        "- [Home](https://a.example/)\n* [News](https://a.example/news)\n  - [Local](https://a.example/local)\n"
        "[Sport and everything that belongs to it](https://a.example/sport_(all))\n"
        "[weather](https://a.example/w) · [traffic](https://a.example/t)\n![](https://a.example/logo.png)\nimprint"
    )


@pytest.mark.parametrize("line", ["=====", "-----", "---"])
def test_underline_belongs_to_its_heading(line: str) -> None:
    assert paragraphs(f"A heading\n{line}\nText below.") == [f"A heading\n{line}", "Text below."]


def test_thematic_break_is_not_glued_to_text() -> None:
    assert paragraphs("Text above.\n***\n- item\n---") == ["Text above.", "***", "- item", "---"]


@pytest.mark.parametrize(
    ("head", "row"),
    [("| Name | Town |\n|---|:---:|", "| anna | ulm |"), ("Name | Town\n--- | ---", "anna | ulm")],
    ids=["with outer pipes", "without"],
)
def test_table_is_one_paragraph_a_row_and_its_rule_belongs_to_the_head(head: str, row: str) -> None:
    assert paragraphs(f"{head}\n{row}\n{row}") == [head, row, row]


def test_heading_ends_with_its_line() -> None:
    wrapped = textwrap.fill(ENGLISH, 72)
    assert (
        paragraphs(f"## A heading that is as long as the lines of the text below it are\n{wrapped}")[1]
        == wrapped
    )


def test_wrapped_list_items_are_joined_and_parted_from_each_other() -> None:
    items = [
        textwrap.fill(ENGLISH, 72, initial_indent=m, subsequent_indent=" " * len(m))
        for m in ("- ", "  * ", "2. ")
    ]
    assert paragraphs("\n".join(items)) == [item.strip() for item in items]


def test_line_at_the_column_of_an_items_text_belongs_to_the_item() -> None:
    assert paragraphs("1. Short\n   More of it.\n2. Other\nOutside") == [
        "1. Short\n   More of it.",
        "2. Other",
        "Outside",
    ]


def test_hard_breaks_part_lines() -> None:
    wrapped = textwrap.fill(ENGLISH, 72)
    assert is_apart(wrapped.replace("\n", "  \n"))
    assert is_apart(wrapped.replace("\n", "\\\n"))


def test_code_in_a_fence_stays_apart() -> None:
    assert is_apart(f"```text\n{textwrap.fill(ENGLISH, 72)}\n```\nAfter it.")


# -- hostile input -------------------------------------------------------------------------------------------

HOSTILE = {
    "nuls": "a\0\0b\n\0\n\0\n",
    "lone surrogates": "\ud800 a\udfff\n\udc00\nb",
    "combining flood": "e" + "\u0301" * 50_000 + "\n" + "\u0301" * 50_000,
    "bidi controls": "\u202eabc\u202c\n\u2066\n\u200fdef",
    "astral": "🜁🜂 𝔘𝔫𝔦\n𠀀𠀁𠀂\n" * 2_000,
    "empty lines": "\n" * 300_000 + "a" + "\r\n" * 300_000,
    "one character": "x" * 2_500_000,
    "one space": " " * 1_000_000 + "a" + "\t" * 1_500_000 + "b",
    "quote marks": ">" * 200_000 + "\n" + "> " * 200_000,
    "nesting": "".join(" " * (i % 400) + "- a\n" for i in range(5_000)),
    "brackets": "[" * 200_000 + "\n" + "[a](" * 50_000 + "\n" + "![" * 50_000,
    "rules": "-" * 200_000 + "x\n" + "| " * 100_000 + "x\n" + "=" * 100_000,
    "joiners": "a" + "\u200d" * 1_500_000 + "\u200c b",
    "small words": "a b\n" * 50_000,
    "closers": '"' * 100_000 + "\n" + '"' * 100,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_keeps_the_guarantees(text: str) -> None:
    check(text, split(text))
    assert "".join(section for _, section in sections(io.StringIO(text, newline=""), 1 << 16)) == text


def test_giant_line_is_cut_at_white_space() -> None:
    text = "word  " * (MAX_PARAGRAPH // 3)
    found = paragraphs(text)
    assert len(found) >= 2
    assert all(p.startswith("word") and p.endswith("word") for p in found)


def test_giant_line_without_white_space_is_cut_at_the_limit() -> None:
    assert [len(p) for p in paragraphs("語" * (MAX_PARAGRAPH + 5))] == [MAX_PARAGRAPH, 5]


def test_paragraph_cut_in_a_run_of_white_space_has_none_at_its_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "MAX_PARAGRAPH", 8)
    assert paragraphs("a" + " \u00a0\t" * 20 + "bc\u3000" * 9 + "d" * 20) == [
        "a", "bc\u3000bc", "bc\u3000bc", "bc\u3000bc", "bc\u3000bc", "bc\u3000ddddd", "d" * 8, "d" * 7
    ]  # fmt: skip


# -- streams -------------------------------------------------------------------------------------------------


class Trickle:
    """A stream whose ``read`` returns little at a time."""

    def __init__(self, text: str, most: int) -> None:
        self.source = io.StringIO(text, newline="")
        self.most = most
        self.calls = 0

    def read(self, size: int, /) -> str:
        self.calls += 1
        return self.source.read(min(size, self.most))


def spans_by_section(text: str, size: int, most: int = 1 << 30) -> list[tuple[int, int]]:
    out = []
    at = 0
    for offset, section in sections(Trickle(text, most), size):
        assert offset == at
        assert 0 < len(section) <= 2 * size
        assert text.startswith(section, offset)
        at += len(section)
        out += [(start + offset, end + offset) for start, end in split(section)]
    assert at == len(text)
    return out


def test_empty_stream_has_no_sections() -> None:
    assert list(sections(io.StringIO(""))) == []


def test_short_stream_is_one_section() -> None:
    assert list(sections(io.StringIO("One.\n\nTwo."))) == [(0, "One.\n\nTwo.")]


def test_size_must_be_positive() -> None:
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        next(sections(io.StringIO("x"), 0))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("most", [1, 7, 1 << 20])
def test_sections_give_the_same_paragraphs_as_the_whole(end: str, most: int) -> None:
    blocks = [textwrap.fill(ENGLISH, 72), "Heading\n===", textwrap.fill(GERMAN, 60), sliced(CHINESE, 36)]
    text = "\n\n".join(blocks * 20).replace("\n", end)
    assert spans_by_section(text, 1_500, most) == split(text)


def test_file_of_lines_without_blank_lines_is_cut_between_paragraphs() -> None:
    text = "".join(f"{i}. A line of its own, as the extractor wrote it.\n" for i in range(2_000))
    assert spans_by_section(text, 1_000) == split(text)


def test_book_without_blank_lines_is_cut_between_paragraphs() -> None:
    text = (textwrap.fill(ENGLISH, 70, initial_indent="    ") + "\n") * 200
    assert spans_by_section(text, 4_000) == split(text)


def test_giant_line_is_read_in_bounded_sections() -> None:
    text = "word " * 50_000
    assert all(text[start:end].endswith("word") for start, end in spans_by_section(text, 1_000))
    check("x" * 50_000, spans_by_section("x" * 50_000, 1_000))


def test_stream_is_read_no_further_than_the_section_needs() -> None:
    source = Trickle("x" * 100_000, 100)
    next(sections(source, 1_000))
    assert source.calls == 20


# -- any text at all -----------------------------------------------------------------------------------------

# fmt: off
PIECES = st.sampled_from([
    "\n", "\n\n", "\r\n", "\r", "\x0c", "\x85", "\u2029", " ", "  \n", "\t", "\u00a0", "\u200b", "\u200d",
    "\ufeff", "- ", "> ", ">", "# ", "1. ", "|", "---", "===", "```", "[a](b)", "![", "\\", "\0", "\ud800",
    "語", "。", "ไทย", "word", "Word", ".", ",", "the river and the long road over the hills",
    "Der lange Weg über die Berge und das", "https://a.example/a/long/path/that/nobody/can/break",
])
# fmt: on
ANY_TEXT = st.one_of(st.text(), st.lists(PIECES, max_size=60).map("".join))


@given(ANY_TEXT)
def test_any_text_keeps_the_guarantees(text: str) -> None:
    check(text, split(text))


@given(ANY_TEXT, st.integers(1, 40), st.integers(1, 9))
def test_any_stream_in_sections_keeps_the_guarantees(text: str, size: int, most: int) -> None:
    check(text, spans_by_section(text, size, most))


@given(st.lists(ANY_TEXT, min_size=1, max_size=6))
def test_blank_lines_part_texts_for_good(texts: list[str]) -> None:
    whole = "\n\n".join(texts)
    one_by_one = []
    at = 0
    for text in texts:
        one_by_one += [(start + at, end + at) for start, end in split(text)]
        at += len(text) + 2
    assert split(whole) == one_by_one


@given(ANY_TEXT)
def test_paragraph_of_one_line_splits_to_itself(text: str) -> None:
    for paragraph in paragraphs(text):
        if len(paragraph.splitlines()) == 1:
            assert split(paragraph) == [(0, len(paragraph))]
