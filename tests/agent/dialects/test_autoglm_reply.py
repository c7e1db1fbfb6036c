"""From what models really write to one action, or to the error that the model is told."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.actions import (
    Action,
    Back,
    CallApi,
    DoubleTap,
    Finish,
    Home,
    Interact,
    Launch,
    LongPress,
    Note,
    Swipe,
    TakeOver,
    Tap,
    TypeText,
    Wait,
)
from app.agent.dialects.autoglm_reply import holds_action, parse_reply, split_thinking
from app.errors import (
    ActionOutOfBounds,
    AppError,
    PolicyError,
    ReplyTruncated,
    ReplyUnparseable,
    UnknownAction,
)

PROTOCOL: dict[str, tuple[str, Action]] = {
    "launch": ('do(action="Launch", app="微信")', Launch(app="微信")),
    "tap": ('do(action="Tap", element=[811,188])', Tap(element=(811, 188))),
    "tap that asks first": (
        'do(action="Tap", element=[5,6], message="Pays 12 EUR")',
        Tap(element=(5, 6), message="Pays 12 EUR"),
    ),
    "type": ('do(action="Type", text="hello")', TypeText(text="hello")),
    "type name": ('do(action="Type_Name", text="Ada")', TypeText(text="Ada")),
    "swipe": (
        'do(action="Swipe", start=[500,800], end=[500,300])',
        Swipe(start=(500, 800), end=(500, 300)),
    ),
    "long press": ('do(action="Long Press", element=[1,2])', LongPress(element=(1, 2))),
    "double tap": ('do(action="Double Tap", element=[1,2])', DoubleTap(element=(1, 2))),
    "back": ('do(action="Back")', Back()),
    "home": ('do(action="Home")', Home()),
    "wait": ('do(action="Wait", duration="5 seconds")', Wait(seconds=5)),
    "note": ('do(action="Note", message="True")', Note(message="True")),
    "call api": ('do(action="Call_API", instruction="sum up")', CallApi(instruction="sum up")),
    "interact": ('do(action="Interact")', Interact()),
    "take over": ('do(action="Take_over", message="log in")', TakeOver(message="log in")),
    "finish": ('finish(message="Done")', Finish(message="Done")),
}

LENIENT: dict[str, tuple[str, Action]] = {
    # what stands around the call
    "closing tag": ('do(action="Tap", element=[811,188])</answer>', Tap(element=(811, 188))),
    "closing tag after a text": (
        'do(action="Type", text="hello")</answer>',
        TypeText(text="hello"),
    ),
    "closing tag after finish": ('finish(message="Done")</answer>', Finish(message="Done")),
    "special token": ('do(action="Back")<|user|>', Back()),
    "code fence": ('```python\ndo(action="Back")\n```', Back()),
    "box tags around": ('<|begin_of_box|>do(action="Back")<|end_of_box|>', Back()),
    "box tags inside": (
        'do(action="Tap", element=<|begin_of_box|>[1,2]<|end_of_box|>)',
        Tap(element=(1, 2)),
    ),
    "prose before": ('I will go back.\ndo(action="Back")', Back()),
    "prose with a bracket before": ('I do (what is needed) now: do(action="Back")', Back()),
    "prose with braces before": ('The list {a, b} is long. do(action="Back")', Back()),
    "a full stop after": ('I will do(action="Back").', Back()),
    # how the call is written
    "several lines": ('do(\n  action="Tap",\n  element=[1,\n 2],\n)', Tap(element=(1, 2))),
    "single quotes": ("do(action='Type', text='it')", TypeText(text="it")),
    "swapped arguments": ('do(element=[1,2], action="Tap")', Tap(element=(1, 2))),
    "space before the bracket": ('do (action="Back")', Back()),
    "spaces around =": ('do(action = "Type" , text = "a")', TypeText(text="a")),
    "action without its name": ('do("Tap", element=[1,2])', Tap(element=(1, 2))),
    "lower case": ('do(action="tap", element=[1,2])', Tap(element=(1, 2))),
    "joined words": ('do(action="LongPress", element=[1,2])', LongPress(element=(1, 2))),
    "curly quotes": ("do(action=“Tap”, element=[1,2])", Tap(element=(1, 2))),
    "full width": ("do（action=“Tap”，element=［1，2］）", Tap(element=(1, 2))),
    "full width text stays": (
        "do（action＝“Type”，text＝“说：‘你好’（笑）”）",
        TypeText(text="说：‘你好’（笑）"),
    ),
    "unknown arguments": ('do(action="Back", why=None, sure=True)', Back()),
    "empty finish": ("finish()", Finish()),
    "spaced finish": ('finish( message = "done" )', Finish(message="done")),
    "finish with a bare text": ('finish("done")', Finish(message="done")),
    "finish in full width": ("finish（“done”）", Finish(message="done")),
    "finish spelled by a sentence": ('So finish(message="done").', Finish(message="done")),
    "finish with words below": ('finish(message="done")\nHave a nice day.', Finish(message="done")),
    "finish of a number": ("finish(message=42)", Finish(message="42")),
    "trailing comma": ('do(action="Back",)', Back()),
    "spaces inside the list": ('do(action="Tap", element=[ 5 , 6 ])', Tap(element=(5, 6))),
    "square brackets in full width": ('do(action="Tap", element=［5,6］)', Tap(element=(5, 6))),
    "a text as the point of a swipe": (
        'do(action="Swipe", start="1,2", end="3,4")',
        Swipe(start=(1, 2), end=(3, 4)),
    ),
    "interact with a question": (
        'do(action="Interact", message="Which one?")',
        Interact(message="Which one?"),
    ),
    "take over without a reason": ('do(action="Take_over")', TakeOver()),
    "note without a text": ('do(action="Note")', Note()),
    "underscores for spaces": ('do(action="Long_Press", element=[1,2])', LongPress(element=(1, 2))),
    "call api joined": ('do(action="CallAPI", instruction="x")', CallApi(instruction="x")),
    # texts
    "escaped quotes": (r'do(action="Type", text="say \"hi\"")', TypeText(text='say "hi"')),
    "quotes in a text": (
        'do(action="Type", text="去哪里"吃饭"呀？")',
        TypeText(text='去哪里"吃饭"呀？'),
    ),
    "quotes at the ends": (
        'do(action="Type", text=""hi" he said "so"")',
        TypeText(text='"hi" he said "so"'),
    ),
    "an apostrophe": ("do(action='Type', text='it's late')", TypeText(text="it's late")),
    "quotes before a comma": (
        'do(action="Type", text="say "hi", then go")',
        TypeText(text='say "hi", then go'),
    ),
    "quotes before the next argument": (
        'do(action="Tap", element=[1,2], message="the "best" one", why="x")',
        Tap(element=(1, 2), message='the "best" one'),
    ),
    "quotes in a finish": ('finish(message="Says "42" now")', Finish(message='Says "42" now')),
    "curly quotes in curly quotes": ("finish(message=“说：“好”了”)", Finish(message="说：“好”了")),
    "a point in tags": (
        'do(action="Tap", element=<point>500 600</point>)',
        Tap(element=(500, 600)),
    ),
    "a point in tags as text": (
        'do(action="Tap", element="<point>500 600</point>")',
        Tap(element=(500, 600)),
    ),
    "full width separators": (
        "do（action＝“Swipe”，start＝［1，2］，end＝［3，4］）",
        Swipe(start=(1, 2), end=(3, 4)),
    ),
    "escaped newline": (r'do(action="Type", text="a\nb")', TypeText(text="a\nb")),
    "raw newline": ('do(action="Type", text="a\nb")', TypeText(text="a\nb")),
    "escaped emoji": (r'do(action="Type", text="\ud83d\ude00")', TypeText(text="😀")),
    "escaped letter": (r'do(action="Type", text="\u00e9t\u00e9")', TypeText(text="été")),
    "unknown escape": (r'do(action="Type", text="50\% off")', TypeText(text=r"50\% off")),
    "space before the end": ('do(action="Type", text="hi" )', TypeText(text="hi")),
    "an argument behind": ('do(action="Type", text="hi", element=[1,2])', TypeText(text="hi")),
    "text= in a text": ('do(action="Type", text="text=1")', TypeText(text="text=1")),
    "empty text": ('do(action="Type", text="")', TypeText(text="")),
    "brackets in a text": ('do(action="Type", text=") ] }")', TypeText(text=") ] }")),
    "app with spaces around": ('do(action="Launch", app="wechat ")', Launch(app="wechat")),
    "package name": ('do(action="Launch", app="com.tencent.mm")', Launch(app="com.tencent.mm")),
    # points
    "box becomes its centre": (
        'do(action="Tap", element=[100,200,300,400])',
        Tap(element=(200, 300)),
    ),
    "point in a list": ('do(action="Tap", element=[[100,200]])', Tap(element=(100, 200))),
    "point as text": ('do(action="Tap", element="500, 501")', Tap(element=(500, 501))),
    "point as a tuple": ('do(action="Tap", element=(7,8))', Tap(element=(7, 8))),
    "fractions of a thousandth": (
        'do(action="Tap", element=[500.4,9.6])',
        Tap(element=(500.4, 9.6)),
    ),
    "the far edges": ('do(action="Tap", element=[1000,1000])', Tap(element=(999, 999))),
    "the corner": ('do(action="Tap", element=[0,0])', Tap(element=(0, 0))),
    # durations
    "wait short": ('do(action="Wait", duration="5 s")', Wait(seconds=5)),
    "wait singular": ('do(action="Wait", duration="3 second")', Wait(seconds=3)),
    "wait number": ('do(action="Wait", duration=5)', Wait(seconds=5)),
    "wait milliseconds": ('do(action="Wait", duration="500 ms")', Wait(seconds=0.5)),
    "wait Chinese": ('do(action="Wait", duration="2秒")', Wait(seconds=2)),
    "wait a day": ('do(action="Wait", duration="86400 seconds")', Wait(seconds=30)),
    "wait minutes": ('do(action="Wait", duration="5 minutes")', Wait(seconds=30)),
    "wait backwards": ('do(action="Wait", duration=-1)', Wait(seconds=0)),
    "wait for nothing said": ('do(action="Wait")', Wait(seconds=1)),
    # JSON
    "json": ('{"action": "Tap", "element": [1, 2]}', Tap(element=(1, 2))),
    "json in a fence": ('```json\n{"action": "Back"}\n```', Back()),
    "json in a box": ('<|begin_of_box|>{"action": "Home"}<|end_of_box|>', Home()),
    "json in a list": ('[{"action": "Back"}]', Back()),
    "json finish": ('{"action": "finish", "message": "ok"}', Finish(message="ok")),
    "json behind other json": ('{"current_app": "Home"}\n{"action": "Back"}', Back()),
    "json text": (r'{"action": "Type", "text": "a\"\n"}', TypeText(text='a"\n')),
    "json with a raw newline": ('{"action": "Type", "text": "a\nb"}', TypeText(text="a\nb")),
}

HOSTILE: dict[str, tuple[str, Action]] = {
    "thinking quotes an action": (
        '<think>I could do(action="Back")</think><answer>do(action="Home")</answer>',
        Home(),
    ),
    "thinking quotes a finish": (
        '<think>Not finish(message="x") yet</think><answer>do(action="Home")</answer>',
        Home(),
    ),
    "thinking quotes a broken call": (
        '<think>do(action="Tap", element=[x,y])?</think><answer>do(action="Home")</answer>',
        Home(),
    ),
    "untagged thinking quotes a finish": (
        'I must not finish(message="x") yet.</think>do(action="Home")',
        Home(),
    ),
    "a second thinking quotes a finish": (
        '<think>a</think>do(action="Home")<think>or finish(message="x")</think>',
        Home(),
    ),
    "a second thinking is not closed": (
        '<think>a</think>do(action="Home")<think>or finish(message="x")',
        Home(),
    ),
    "text holds a finish": (
        'do(action="Type", text="finish(message=\'x\')")',
        TypeText(text="finish(message='x')"),
    ),
    "text holds the end of a thinking": (
        'do(action="Type", text="</think>finish()")',
        TypeText(text="</think>finish()"),
    ),
    "text holds tags, after prose": (
        'Now do(action="Type", text="</think><answer>finish()")',
        TypeText(text="</think><answer>finish()"),
    ),
    "text holds the beginning of a thinking": (
        'do(action="Type", text="<think>")',
        TypeText(text="<think>"),
    ),
    "text holds special tokens": (
        'do(action="Type", text="<|user|></answer>")',
        TypeText(text="<|user|></answer>"),
    ),
    "json text holds a finish": (
        '{"action": "Type", "text": "finish(message=1)"}',
        TypeText(text="finish(message=1)"),
    ),
    "thinking that the template opened quotes a finish first": (
        '[not finish(message="x")]</think>do(action="Home")',
        Home(),
    ),
    "thinking that the template opened begins with an action": (
        'do(action="Back")? No: finish(message="x")?</think><answer>do(action="Home")',
        Home(),
    ),
    "an answer says where the action is whatever follows": (
        '<answer>do(action="Home")</think>finish(message="x")',
        Home(),
    ),
    "json text holds the end of a thinking": (
        '{"action": "Type", "text": "</think>finish()"}',
        TypeText(text="</think>finish()"),
    ),
    "text holds json": (
        'do(action="Type", text="{\\"action\\": \\"finish\\"}")',
        TypeText(text='{"action": "finish"}'),
    ),
    "text holds an answer": (
        'do(action="Type", text="<answer>finish()</answer>")',
        TypeText(text="<answer>finish()</answer>"),
    ),
    "internal keys": (
        'do(action="Tap", element=[1,2], _metadata="finish", kind="finish")',
        Tap(element=(1, 2)),
    ),
}

REFUSED: dict[str, tuple[str, type[AppError]]] = {
    "nothing": ("", ReplyUnparseable),
    "only thinking": ("<think>I should tap it</think>", ReplyUnparseable),
    "thinking that never ends": ('<think>do(action="Back")', ReplyUnparseable),
    "a finish in thinking that the template opened": (
        '[I could finish(message="x") now]</think>',
        ReplyUnparseable,
    ),
    "a finish and then thinking": ('finish(message="x") is too early</think>', ReplyUnparseable),
    "a finish that is spoken of": ('I cannot finish(message="x") yet.', ReplyUnparseable),
    "a finish that is spoken of behind a tag": (
        '<think>a</think>I will not finish(message="x") before it is on.',
        ReplyUnparseable,
    ),
    "a finish that is spoken of in Chinese": (
        "还不能 finish(message=“x”)，还没做完",
        ReplyUnparseable,
    ),
    "texts added up": ('do(action="Type", text="a" + "b")', ReplyUnparseable),
    "only a closing tag": ("</answer>", ReplyUnparseable),
    "only prose": ("The task is done.", ReplyUnparseable),
    "the word finish": ("finish", ReplyUnparseable),
    "prose in brackets": ("I will do(it) and finish(soon)", ReplyUnparseable),
    "cut in a list": ('do(action="Tap", element=[5', ReplyUnparseable),
    "cut in a text": ('do(action="Type", text="hel', ReplyUnparseable),
    "cut before its end": ('finish(message="Done"', ReplyUnparseable),
    "cut json": ('{"action": "finish", "mess', ReplyUnparseable),
    "arithmetic": ('do(action="Tap", element=[500,1000-10])', ReplyUnparseable),
    "dictionary unpacked": ('do(**{"action": "Back"})', ReplyUnparseable),
    "attribute of a call": ('do(action="Back").__class__()', ReplyUnparseable),
    "call of a call": ('do(action="Back")("x")', ReplyUnparseable),
    "function inside": ('do(action="Type", text=__import__("os"))', ReplyUnparseable),
    "other function": ('download(action="Back")', ReplyUnparseable),
    "method": ('phone.do(action="Back")', ReplyUnparseable),
    "two bare arguments": ('do("Tap", [1,2])', ReplyUnparseable),
    "argument given twice": ('do(action="Back", action="Home")', ReplyUnparseable),
    "json key given twice": ('{"action": "Back", "action": "finish"}', ReplyUnparseable),
    "no action": ("do(element=[1,2])", ReplyUnparseable),
    "action is no text": ("do(action=[1])", ReplyUnparseable),
    "action without quotes": ("do(action=Back)", ReplyUnparseable),
    "broken list of types": ('[{\'Type", text="库迪咖啡")', ReplyUnparseable),
    "python dictionary": ("[{'Type': 'Type'}]", ReplyUnparseable),
    "call without do": ('"Launch", app="微信")', ReplyUnparseable),
    "text without do holds a finish": ('"Type", text="finish()")', ReplyUnparseable),
    "type without quotes holds a finish": ('do(Type, text="finish()")', ReplyUnparseable),
    "type with colons holds a finish": ('do(action: "Type", text: "finish()")', ReplyUnparseable),
    "quotes in quotes hold the end of a thinking": (
        'do(action="Type", text="say "</think>finish()" now")',
        ReplyUnparseable,
    ),
    "quotes in quotes hold a finish": (
        '<think>a</think>do(action="Type", text="say "finish()" now")',
        ReplyUnparseable,
    ),
    "quotes in quotes hold a finish with quotes": (
        'do(action="Type", text="say "finish(message="x")")',
        ReplyUnparseable,
    ),
    "quotes that may end the text early": (
        'do(action="Type", text="say "hi") and "bye" now")',
        ReplyUnparseable,
    ),
    "python dictionary holds a finish": (
        "{'action': 'Type', 'text': 'finish()'}",
        ReplyUnparseable,
    ),
    "finish as an action": ('do(action="finish", message="x")', UnknownAction),
    "finish as a spelled action": ('do(action="F_inish", message="x")', UnknownAction),
    "unknown action": ('do(action="Scroll", direction="down")', UnknownAction),
    "unknown json action": ('{"action": "Scroll"}', UnknownAction),
    "launch of nothing": ('do(action="Launch")', ReplyUnparseable),
    "launch of spaces": ('do(action="Launch", app="  ")', ReplyUnparseable),
    "type of nothing": ('do(action="Type")', ReplyUnparseable),
    "type of None": ('do(action="Type", text=None)', ReplyUnparseable),
    "type of a number": ('do(action="Type", text=0049)', ReplyUnparseable),
    "type of half a character": (r'do(action="Type", text="\ud83d")', ReplyUnparseable),
    "tap of nothing": ('do(action="Tap")', ReplyUnparseable),
    "tap of one number": ('do(action="Tap", element=[500])', ReplyUnparseable),
    "tap of words": ('do(action="Tap", element="item 3 of 4")', ReplyUnparseable),
    "tap of infinity": ('do(action="Tap", element=[1e400,5])', ReplyUnparseable),
    "tap of not a number": ('{"action": "Tap", "element": [NaN, 5]}', ReplyUnparseable),
    "tap of a huge integer": (
        '{"action": "Tap", "element": [' + "9" * 400 + ", 5]}",
        ReplyUnparseable,
    ),
    "tap of truth": ('do(action="Tap", element=[True,5])', ReplyUnparseable),
    "tap in fractions": ('do(action="Tap", element=[0.5,0.5])', ActionOutOfBounds),
    "tap in pixels": ('do(action="Tap", element=[540,1200])', ActionOutOfBounds),
    "tap beyond the edges": ('do(action="Tap", element=[5,-5])', ActionOutOfBounds),
    "swipe out of the screen": (
        'do(action="Swipe", start=[500,500], end=[500,1100])',
        ActionOutOfBounds,
    ),
    "box of huge numbers": ('do(action="Tap", element=[0,9e307,0,9e307])', ActionOutOfBounds),
    "box with a corner outside": ('do(action="Tap", element=[0,0,1000,1100])', ActionOutOfBounds),
    "swipe without an end": ('do(action="Swipe", start=[1,2])', ReplyUnparseable),
    "wait of words": ('do(action="Wait", duration="a while")', ReplyUnparseable),
    "wait of an unknown unit": ('do(action="Wait", duration="5 parsecs")', ReplyUnparseable),
    "deep nesting": ('do(action="Tap", element=' + "[" * 400 + "]" * 400 + ")", ReplyUnparseable),
    "deep json": ('{"action":' * 5_000, ReplyUnparseable),
    "finish with a list": ("finish(message=[1])", ReplyUnparseable),
    "far too long": ("do(" * 30_000, ReplyUnparseable),
}


@pytest.mark.parametrize(
    ("text", "action"), [*PROTOCOL.values(), *LENIENT.values()], ids=[*PROTOCOL, *LENIENT]
)
@pytest.mark.parametrize(
    "frame",
    ["{}", "<answer>{}</answer>", "<think>First, look.</think>\n<answer>{}", "Look.</think>{}"],
    ids=["bare", "answer", "tagged", "untagged thinking"],
)
def test_reads_the_action_of_a_reply(text: str, action: Action, frame: str) -> None:
    assert parse_reply(frame.replace("{}", text)).action == action


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ('do(action="Back")\ndo(action="Home")', Home()),
        ('First do(action="Back"), then do(action="Home")', Home()),
        ('<think>a</think>Not do(action="Back") but do(action="Home")', Home()),
        ('<think>a</think><answer>do(action="Back")\ndo(action="Home")</answer>', Back()),
        ('<answer>do(action="Back") do(action="Ho', Back()),
        ('<think>a</think>\n<|begin_of_box|>do(action="Back")<|end_of_box|> finish()', Back()),
    ],
)
def test_of_two_actions_the_one_behind_the_tag_counts_or_else_the_last(
    text: str, action: Action
) -> None:
    assert parse_reply(text).action == action


@pytest.mark.parametrize(
    "frame",
    [
        "<answer>{}</answer>",
        "<think>First, look.</think>\n<answer>{}</answer>",
        "Look.</think>{}\n.",
    ],
)
@pytest.mark.parametrize(("text", "action"), PROTOCOL.values(), ids=PROTOCOL)
def test_a_reply_is_over_as_soon_as_its_action_is_and_not_before(
    text: str, action: Action, frame: str
) -> None:
    whole = frame.replace("{}", text)
    ends = [end for end in range(len(whole) + 1) if holds_action(whole[:end])]
    assert ends[0] == whole.index(text) + len(text) + 2
    assert ends == list(range(ends[0], len(whole) + 1))
    assert all(parse_reply(whole[:end]).action == action for end in ends)


@pytest.mark.parametrize(
    "text",
    [
        'do(action="Back")\n\n',
        'I could do(action="Back") but\n',
        '<think>do(action="Back")\n\n',
        '<think>a</think>Then do(action="Back")\n\n',
        '<answer>do(action="Back").x',
        'I will say <answer>finish(message="x")</answer>\n\n',
        '<think>I will say <answer>finish(message="x")</answer>\n\n',
        '<answer>do(action="Type", text="</answer>\n\n',
    ],
)
def test_what_may_still_be_thinking_does_not_end_a_reply(text: str) -> None:
    assert not holds_action(text)


@pytest.mark.parametrize(("text", "action"), HOSTILE.values(), ids=HOSTILE)
def test_nothing_quoted_is_executed(text: str, action: Action) -> None:
    assert parse_reply(text).action == action


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ('<think>I go back.\ndo(action="Back")', Back()),
        ('<think>I go back.\n\n  do(action="Tap", element=[1,2])\n<|user|>', Tap(element=(1, 2))),
        ('<think>do(action="Home")?\nNo.\ndo(action="Back")', Back()),
    ],
)
def test_a_thought_without_end_whose_last_line_is_an_action(text: str, action: Action) -> None:
    assert parse_reply(text).action == action
    assert not holds_action(text)
    with pytest.raises(ReplyTruncated):
        parse_reply(text, truncated=True)


@pytest.mark.parametrize(
    "text",
    [
        '<think>It is on.\nfinish(message="x")',
        '<think>I could do(action="Back")',
        '<think>\ndo(action="Back") or not',
        '<think>\ndo(action="Back")\nno',
        '<think>do(action="Type", text="a\ndo(action="Back")',
        '<think>do(element=\ndo(action="Back")',
    ],
)
def test_any_other_thought_without_end_is_no_action(text: str) -> None:
    with pytest.raises(ReplyUnparseable):
        parse_reply(text)


def test_the_corpus_of_odd_replies_is_large() -> None:
    assert len(LENIENT) + len(HOSTILE) + len(REFUSED) >= 150


@pytest.mark.parametrize(("text", "error"), REFUSED.values(), ids=REFUSED)
def test_refuses_what_is_no_action(text: str, error: type[AppError]) -> None:
    with pytest.raises(error):
        parse_reply(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<think>I was going to",
        'do(action="Tap", element=[5',
        'finish(message="Do',
        'I could finish(message="x"), but first I',
        'I will say <answer>finish(message="x")</answer> when',
        '<think>a</think>do(action="Back"',
    ],
)
def test_a_reply_that_was_cut_is_never_executed(text: str) -> None:
    with pytest.raises(ReplyTruncated):
        parse_reply(text, truncated=True)


def test_a_reply_that_was_cut_behind_its_answer_counts() -> None:
    text = '<think>a</think><answer>do(action="Back")</answer> and then I wou'
    assert parse_reply(text, truncated=True).action == Back()


def test_keeps_the_thought_and_the_action_as_they_were_written() -> None:
    raw = '<think>Bluetooth is off.</think>\n<answer>do(action="Tap", element=[9,9])</answer>'
    decision = parse_reply(raw)
    assert decision.thought == "Bluetooth is off."
    assert decision.answer == 'do(action="Tap", element=[9,9])'
    assert decision.raw == raw


def test_what_stands_before_an_untagged_action_is_the_thought() -> None:
    decision = parse_reply('看到列表，点第一个。do(action="Tap", element=[9,9])')
    assert decision.thought == "看到列表，点第一个。"
    assert decision.answer == 'do(action="Tap", element=[9,9])'


def test_names_the_actions_when_it_knows_none_of_that_name() -> None:
    with pytest.raises(UnknownAction, match="'Scroll'") as caught:
        parse_reply('do(action="Scroll")')
    assert "Swipe" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("<think>a</think>b", ("<think>a", "b")),
        ("a<answer>b", ("a", "b")),
        ("<think>a", ("<think>a", "")),
        ("b", ("", "b")),
    ],
)
def test_splits_thinking_from_answer(text: str, parts: tuple[str, str]) -> None:
    assert split_thinking(text) == parts


# -- properties

PIECES = st.sampled_from(
    [
        "<think>", "</think>", "<answer>", "</answer>", "<|user|>", "<|begin_of_box|>", "```",
        "do(", "finish(", "do（", "finish", "{", "}", ")", "[", "]", ",", "=", '"', "'", "“", "”",
        "\\", "\n", " ", "action", "action=", '"Tap"', '"Type"', "text=", "element=", "message=",
        "[500,500]", "1e999", "0.5", "-3", '{"action": "finish"}', 'do(action="Back")', "finish()",
        "duration=", "99 h", "\\ud83d", "x",
    ]
)  # fmt: skip
REPLIES = st.one_of(st.text(), st.lists(PIECES, max_size=25).map("".join))
NAMES = st.text(string.ascii_lowercase + "_", min_size=1, max_size=12)


def outcome(text: str, *, truncated: bool = False) -> Action | AppError:
    try:
        return parse_reply(text, truncated=truncated).action
    except (PolicyError, ReplyTruncated) as exc:
        return exc


def quoted(text: str, quote: str = '"') -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def coordinates(action: Action | AppError) -> list[float]:
    match action:
        case Tap(element=(x, y)) | DoubleTap(element=(x, y)) | LongPress(element=(x, y)):
            return [x, y]
        case Swipe(start=(x1, y1), end=(x2, y2)):
            return [x1, y1, x2, y2]
        case _:
            return []


@given(REPLIES, st.booleans())
def test_any_text_is_an_action_or_an_error_for_the_model(text: str, truncated: bool) -> None:
    found = outcome(text, truncated=truncated)
    if isinstance(found, Wait):
        assert 0 <= found.seconds <= 30
    if isinstance(found, Finish):
        _, answer = split_thinking(text)
        assert "finish(" in answer or "finish（" in answer or '"finish"' in answer
    assert all(0 <= number < 1000 for number in coordinates(found))


@given(REPLIES)
def test_nothing_in_the_thinking_ends_the_task(thinking: str) -> None:
    closed = thinking.replace("</think>", "")
    action = outcome(f'<think>{closed}</think><answer>do(action="Back")</answer>')
    assert not isinstance(action, Finish)


@given(REPLIES)
def test_what_a_half_reply_holds_the_whole_one_means(reply: str) -> None:
    whole = f"{reply}</think>{reply}"
    first = next((end for end in range(len(whole)) if holds_action(whole[:end])), None)
    if first is not None:
        half, read_on = outcome(whole[:first]), outcome(whole)
        errors = isinstance(half, AppError) and type(half) is type(read_on)
        assert half == read_on or errors


@given(REPLIES)
def test_nothing_in_a_thinking_that_the_template_opened_ends_the_task(thinking: str) -> None:
    closed = thinking.replace("</think>", "").replace("<answer>", "").replace("<think>", "")
    action = outcome(f'{closed}</think><answer>do(action="Back")</answer>')
    assert not isinstance(action, Finish)


@given(st.one_of(REPLIES, st.text(st.characters(codec="utf-8"))), st.sampled_from("\"'"))
def test_types_exactly_what_was_put_into_the_text(text: str, quote: str) -> None:
    call = f"do(action={quoted('Type', quote)}, text={quoted(text, quote)})"
    for reply in (call, f"<think>So.</think><answer>{call}</answer>", f"So, {call}"):
        assert parse_reply(reply).action == TypeText(text=text)


@given(st.one_of(REPLIES, st.text(st.characters(codec="utf-8"))), st.booleans())
def test_types_exactly_what_was_put_into_the_json(text: str, ascii_only: bool) -> None:
    reply = json.dumps({"action": "Type", "text": text}, ensure_ascii=ascii_only)
    assert parse_reply(reply).action == TypeText(text=text)


@given(st.dictionaries(NAMES, REPLIES, max_size=4))
def test_unknown_arguments_change_nothing(extra: dict[str, str]) -> None:
    known = {"action": "Tap", "element": [7, 8], "message": "Sure?"}
    words = "".join(f", {k}={quoted(v)}" for k, v in extra.items() if k not in known)
    call = f'do(action="Tap", element=[7,8], message="Sure?"{words})'
    assert parse_reply(call).action == Tap(element=(7, 8), message="Sure?")
    assert parse_reply(json.dumps(extra | known)).action == Tap(element=(7, 8), message="Sure?")


@given(st.lists(st.one_of(st.integers(), st.floats()), max_size=5))
def test_points_are_thousandths_or_refused(numbers: list[float]) -> None:
    written = json.dumps(numbers)
    for reply in (
        f'do(action="Tap", element={written})',
        f'do(action="Tap", element="{written}")',
        f'{{"action": "Tap", "element": {written}}}',
    ):
        found = outcome(reply)
        assert isinstance(found, Tap | PolicyError)
        assert all(0 <= number < 1000 for number in coordinates(found))


@given(st.one_of(st.integers(), st.floats(), st.text(max_size=10)))
def test_waits_are_short_or_refused(duration: float | str) -> None:
    written = quoted(duration) if isinstance(duration, str) else json.dumps(duration)
    found = outcome(f'do(action="Wait", duration={written})')
    assert isinstance(found, PolicyError) or (isinstance(found, Wait) and found.seconds <= 30)
