"""Every action of each family, as its models write it and as they nearly do."""

from __future__ import annotations

import json

import pytest

from app.agent.actions import (
    Action,
    Answer,
    Back,
    DoubleTap,
    Drag,
    Finish,
    GiveUp,
    Home,
    Interact,
    Key,
    Launch,
    LongPress,
    Swipe,
    TakeOver,
    Tap,
    TypeText,
    Wait,
)
from app.agent.dialects import DIALECTS, dialect_named
from app.errors import ActionOutOfBounds, AppError, ReplyUnparseable, UnknownAction
from tests.agent.dialects.test_families import REFUSED, TAPS

Expected = Action | type[AppError]
SENT = (1092, 2408)
UP, DOWN = Swipe(start=(500, 700), end=(500, 300)), Swipe(start=(500, 300), end=(500, 700))
LEFT = Swipe(start=(700, 500), end=(300, 500))


def rows(table: list[tuple[str, Expected]]) -> list[tuple[str, Expected]]:
    """A table by itself, for the type checker."""
    return table


def tc(written: str) -> str:
    return f'<tool_call>\n{{"name": "mobile_use", "arguments": {written}}}\n</tool_call>'


def call(**arguments: object) -> str:
    return tc(json.dumps(arguments, ensure_ascii=False))


def xml(function: str, *pairs: tuple[str, str]) -> str:
    inner = "".join(f"<parameter={k}>{v}</parameter>" for k, v in pairs)
    return f"<tool_call><function={function}>{inner}</function></tool_call>"


QWEN: list[tuple[str, Expected]] = [
    ('Thought: The bar.\nAction: "Tap it."\n' + call(action="click", coordinate=[447, 81]),
     Tap(element=(447, 81))),
    ("Action: Scroll.\n" + call(action="swipe", coordinate=[500, 800], coordinate2=[500, 250]),
     Swipe(start=(500, 800), end=(500, 250))),
    ("<thinking>\na\n</thinking>\n" + call(action="swipe", direction="up"), UP),
    (call(action="swipe", direction="DOWN"), DOWN),
    (call(action="swipe", direction="left"), LEFT),
    (call(action="swipe", direction="right", coordinate=[100, 400]),
     Swipe(start=(100, 400), end=(500, 400))),
    (call(action="swipe", direction="up", coordinate=[500, 200]),
     Swipe(start=(500, 200), end=(500, 50))),
    (call(action="swipe", start=[1, 2], end=[3, 4]), Swipe(start=(1, 2), end=(3, 4))),
    (call(action="scroll", coordinate=[1, 2], coordinate2=[3, 4]), Swipe(start=(1, 2), end=(3, 4))),
    (call(action="swipe", coordinate2=[3, 4]), ReplyUnparseable),
    (call(action="swipe"), ReplyUnparseable),
    (call(action="swipe", direction="north"), ReplyUnparseable),
    (call(action="swipe", direction=["up"]), ReplyUnparseable),
    (call(action="drag", start_coordinate=[1, 2], end_coordinate=[3, 4]),
     Drag(start=(1, 2), end=(3, 4))),
    (call(action="terminate", status="success"), Finish()),
    (call(action="terminate", status="Success", message="ok"), Finish(message="ok")),
    (call(action="terminate", status="fail"), GiveUp()),
    (call(action="terminate", status="failure", text="no such app"), GiveUp(message="no such app")),
    (call(action="terminate", status="infeasible"), GiveUp()),
    (call(action="terminate", status="maybe"), ReplyUnparseable),
    (call(action="terminate"), ReplyUnparseable),
    (call(action="terminate", status=True), ReplyUnparseable),
    (call(action="answer", text='She said "3 pm" </tool_call> ok'),
     Answer(message='She said "3 pm" </tool_call> ok')),
    (call(action="answer"), ReplyUnparseable),
    ("<think>\nEnter.\n</think>\n\n<tool_call>\n<function=mobile_use>\n<parameter=action>\n"
     "system_button\n</parameter>\n<parameter=button>\nEnter\n</parameter>\n</function>\n</tool_call>",
     Key(key="enter")),
    (xml("mobile_use", ("action", "click"), ("coordinate", "[447, 81]")), Tap(element=(447, 81))),
    (xml("mobile_use", ("action", "wait"), ("time", "2")), Wait(seconds=2)),
    (xml("mobile_use", ("action", "type"), ("text", "a\nb")), TypeText(text="a\nb", clear=False)),
    (xml("delete_all_mail", ("action", "wait")), UnknownAction),
    ("<tool_call><function=mobile_use><parameter=action>wait</function></tool_call>",
     ReplyUnparseable),
    ("<tool_call><function=mobile_use><parameter=action>wait</parameter></tool_call>",
     ReplyUnparseable),
    ('I could call {"name":"mobile_use","arguments":{"action":"terminate","status":"success"}} but '
     "not yet.\n</think>\n" + call(action="wait", time=2), Wait(seconds=2)),
    (call(action="click", coordinate=[500, 300]) + "\n" + call(action="type", text="x"),
     Tap(element=(500, 300))),
    (call(action="click", coordinate=[500, 300]) + "\n" + call(action="type"), ReplyUnparseable),
    (call(action="click", coordinate=[500, 300]) + "\n<tool_call>\n{", ReplyUnparseable),
    (call(action="click", coordinate=[120, 340, 180, 400]), Tap(element=(150, 370))),
    (call(action="click", coordinate=[[150, 370]]), Tap(element=(150, 370))),
    (call(action="click", coordinate="150, 370"), Tap(element=(150, 370))),
    (call(action="click", coordinate=[1000, 1000]), Tap(element=(999, 999))),
    (call(action="click", coordinate=[1080, 2200]), ActionOutOfBounds),
    (call(action="click", coordinate=[1, 2, 3]), ReplyUnparseable),
    (call(action="click", coordinate=None), ReplyUnparseable),
    (call(action="click", coordinate=[True, 1]), ReplyUnparseable),
    (call(action="click"), ReplyUnparseable),
    (tc('{"action": "click", "coordinate": [NaN, 1]}'), ReplyUnparseable),
    (tc('{"action": "click", "coordinate": [1e999, 1]}'), ReplyUnparseable),
    ('<tool_call>\n{"name":"mobile_use","arguments":{"action":"click","coordinate":[447, 81]}\n'
     "</tool_call>", ReplyUnparseable),
    ('<tool_call>{"action":"open","text":"Files"}</tool_call>', Launch(app="Files")),
    ("<tool_call>{'action': 'open', 'text': 'Files'}</tool_call>", Launch(app="Files")),
    ('<tool_call>```json\n{"action":"open","text":"Files"}\n```</tool_call>', Launch(app="Files")),
    ("```\n" + call(action="wait") + "\n```", Wait(seconds=1)),
    ('<tool_call>\n{"name":"delete_all_mail","arguments":{"action":"click","coordinate":[1,2]}}\n'
     "</tool_call>", UnknownAction),
    ('<tool_call>{"name":"mobile_use","arguments":"click"}</tool_call>', ReplyUnparseable),
    ('<tool_call>{"name":"mobile_use"}</tool_call>', ReplyUnparseable),
    ('<tool_call>[{"action":"wait"}]</tool_call>', ReplyUnparseable),
    ("<tool_call>click(1, 2)</tool_call>", ReplyUnparseable),
    ("<tool_call></tool_call>", ReplyUnparseable),
    (call(action="key", text="power"), Key(key="power")),
    (call(action="key", text="KEYCODE_VOLUME_UP"), Key(key="volume_up")),
    (call(action="key", text="sleep"), UnknownAction),
    (call(action="key"), ReplyUnparseable),
    (call(action="system_button", button="Back"), Back()),
    (call(action="system_button", button="home"), Home()),
    (call(action="system_button", button="Menu"), Key(key="recents")),
    (call(action="system_button", button="Eject"), UnknownAction),
    ("<thinking>need it</thinking>\n" + call(action="ask_user", text="Which day?"),
     Interact(message="Which day?")),
    (call(action="interact", text="Which one?"), Interact(message="Which one?")),
    (call(action="call_user"), TakeOver()),
    (call(action="calluser", text="log in"), TakeOver(message="log in")),
    ('The screen says: <tool_call>{"name":"mobile_use","arguments":{"action":"terminate",'
     '"status":"success"}}</tool_call>. I ignore it.\n' + call(action="wait"),
     ReplyUnparseable),
    (call(action="long_press", coordinate=[5, 6]), LongPress(element=(5, 6))),
    (call(action="long_press", coordinate=[5, 6], time=2), LongPress(element=(5, 6), ms=2000)),
    (call(action="long_press", coordinate=[5, 6], time=600), LongPress(element=(5, 6), ms=10_000)),
    (call(action="long_press", coordinate=[5, 6], time=0), LongPress(element=(5, 6), ms=300)),
    (call(action="double_click", coordinate=[5, 6]), DoubleTap(element=(5, 6))),
    (call(action="Click", coordinate=[5, 6]), Tap(element=(5, 6))),
    (call(action="type", text="hello"), TypeText(text="hello", clear=False)),
    (call(action="type", text="hello", clear=True), TypeText(text="hello")),
    (call(action="type", text="hi", coordinate=[5, 6]),
     TypeText(text="hi", clear=False, element=(5, 6))),
    (tc('{"action": "type", "text": "\\ud83d"}'), ReplyUnparseable),
    (call(action="type", text=5), ReplyUnparseable),
    (call(action="wait"), Wait(seconds=1)),
    (call(action="wait", time=3600), Wait(seconds=30)),
    (call(action="open", text=" "), ReplyUnparseable),
    (call(action="wait", why={"deep": [1, {"a": None}]}), Wait(seconds=1)),
    (call(coordinate=[1, 2]), ReplyUnparseable),
    (call(action=["click"]), ReplyUnparseable),
    ('{"name": "mobile_use", "arguments": {"action": "wait"}}', ReplyUnparseable),
]  # fmt: skip

X, Y = round(540.5 * 1000 / 1092, 3), round(1200.5 * 1000 / 2408, 3)
PIXEL = (X, Y)
TARS: list[tuple[str, Expected]] = [
    ("Thought: x\nAction: click(start_box='(540,1200)')", Tap(element=PIXEL)),
    ("Thought: x\nAction: click(point='<point>540 1200</point>')", Tap(element=PIXEL)),
    ("Thought: x\nAction: click(start_box='<|box_start|>(540,1200)<|box_end|>')",
     Tap(element=PIXEL)),
    ("Action: click(start_box='[540, 1200, 540, 1200]')", Tap(element=PIXEL)),
    ("Action: click(start_box='<bbox>530 1190 550 1210</bbox>')", Tap(element=PIXEL)),
    ("Action: click(start_box=(540, 1200))", Tap(element=PIXEL)),
    ("Action: click(point=<point>540 1200</point>)", Tap(element=PIXEL)),
    ("Action: click(start_box='(540,1200)')[EOS]", Tap(element=PIXEL)),
    ("**Action:** click(start_box='(540,1200)')", Tap(element=PIXEL)),
    ("Action:\nclick(start_box='(540,1200)')", Tap(element=PIXEL)),
    ("Action: ```\nclick(start_box='(540,1200)')\n```", Tap(element=PIXEL)),
    ("action: click(start_box='(540,1200)')", Tap(element=PIXEL)),
    ("click(start_box='(540,1200)')", Tap(element=PIXEL)),
    ("Action: click(start_box='(1093,10)')", ActionOutOfBounds),
    ("Action: click(start_box='(10,2409)')", ActionOutOfBounds),
    ("Action: click(start_box='[0.131, 0.25, 0.131, 0.25]')", ActionOutOfBounds),
    ("Action: click(start_box='(10)')", ReplyUnparseable),
    ("Action: click(540, 1200)", ReplyUnparseable),
    ("Action: click()", ReplyUnparseable),
    ("Action: click(start_box='(540,1200)'", ReplyUnparseable),
    ("Action: left_double(point='<point>540 1200</point>')", DoubleTap(element=PIXEL)),
    ("Action: long_press(start_box='(540,1200)')", LongPress(element=PIXEL)),
    ("Thought: x\nAction: type(content='it\\'s 5 o\\'clock\\n')",
     TypeText(text="it's 5 o'clock", clear=False, submit=True)),
    ("Thought: x\nAction: type(content='it's (really) done')",
     TypeText(text="it's (really) done", clear=False)),
    ("Action: type(content=\"say \\\"hi\\\"\")", TypeText(text='say "hi"', clear=False)),
    ("Action: type(content='')", TypeText(text="", clear=False)),
    ("Action: type(content='你好，世界')", TypeText(text="你好，世界", clear=False)),
    ("Action: type(content='a') and then b')", ReplyUnparseable),
    ("Action: type(content='he said 'x(y)' now')", ReplyUnparseable),
    ("Action: type()", ReplyUnparseable),
    ("Action: type(content=5)", ReplyUnparseable),
    ("Thought: more below\nAction: scroll(direction='down')", UP),
    ("Action: scroll(direction='up')", DOWN),
    ("Action: scroll(direction='right')", LEFT),
    ("Action: scroll(point='<point>546 1204</point>', direction='down')",
     Swipe(start=(500.458, 500.208), end=(500.458, 100.208))),
    ("Action: scroll(point='<point>546 1204</point>')", ReplyUnparseable),
    ("Action: scroll(direction='sideways')", ReplyUnparseable),
    ("Action: drag(start_point='<point>540 1200</point>', end_point='<point>540 1200</point>')",
     Swipe(start=PIXEL, end=PIXEL)),
    ("Action: drag(start_box='(540,1200)', end_box='(540,1200)')", Swipe(start=PIXEL, end=PIXEL)),
    ("Action: swipe(start_box='(540,1200)', end_box='(540,1200)')", Swipe(start=PIXEL, end=PIXEL)),
    ("Action: drag(start_box='(540,1200)')", ReplyUnparseable),
    ("Action: open_app(app_name='微信')", Launch(app="微信")),
    ("Action: open_app(app_name='')", ReplyUnparseable),
    ("Action: press_home()", Home()),
    ("Action: press_back()", Back()),
    ("Action: hotkey(key='enter')", Key(key="enter")),
    ("Action: hotkey(key='backspace')", Key(key="delete")),
    ("Action: hotkey(key='lock')", UnknownAction),
    ("Action: wait()", Wait(seconds=1)),
    ("Action: wait(time=5)", Wait(seconds=5)),
    ("Thought: done\nAction: finished(content='The total is 12.50')",
     Finish(message="The total is 12.50")),
    ("Action: finished()", Finish()),
    ("Action: finished(content='It's done')", Finish(message="It's done")),
    ("Action: finished(content='x') is what I would say later", ReplyUnparseable),
    ("Action: finished(content='x')\nAction: wait()", ReplyUnparseable),
    ("Action: finished(content='x')\n\nwait()", ReplyUnparseable),
    ("Action: wait()\n\nfinished(content='x')", Wait(seconds=1)),
    ("Thought: stuck\nAction: call_user()", TakeOver()),
    ("Action: call_user(content='log in')", TakeOver(message="log in")),
    ("Thought: two\nAction: click(start_box='(540,1200)')\n\nclick(start_box='(30,40)')",
     Tap(element=PIXEL)),
    ("Action: click(start_box='(540,1200)')\n\nclick(start_box='(30,", ReplyUnparseable),
    ("Action: click(start_box='(540,1200)')\n\nfly(away='now')", Tap(element=PIXEL)),
    ("Reflection: it failed. Action_Summary: tap again.\nAction: press_back()", Back()),
    ("Thought: I should not say Action: finished(content='x') now.\nAction: wait()",
     Wait(seconds=1)),
    ("Thought: finished(content='x')\nAction: press_home()", Home()),
    ("Thought: I am done.\nfinished(content='x')", ReplyUnparseable),
    ("Thought: nothing to do", ReplyUnparseable),
    ("Action:", ReplyUnparseable),
    ("Action: none", ReplyUnparseable),
    ("Action: os.system('rm')", ReplyUnparseable),
    ("Action: fly()", UnknownAction),
    ("Action: click(start_box='(540,1200)').__class__()", ReplyUnparseable),
    ("Action: click(start_box='(540,1200)')()", ReplyUnparseable),
    ("<think>a</think><seed:tool_call><function=scroll><parameter=point><point>546 1204</point>"
     "<parameter=direction>down</parameter></function></seed:tool_call>",
     Swipe(start=(500.458, 500.208), end=(500.458, 100.208))),
    (xml("finished", ("content", "Done")), Finish(message="Done")),
    (xml("type", ("content", "a\n")), TypeText(text="a", clear=False)),
    (xml("click", ("point", "<point>540 1200</point>")), Tap(element=PIXEL)),
    (xml("call_user", ("content", "log in")), TakeOver(message="log in")),
    (xml("shell", ("content", "rm")), UnknownAction),
    (xml("wait") + "\nAction: finished()", ReplyUnparseable),
    ("<seed:tool_call><function=wait></function>", ReplyUnparseable),
]  # fmt: skip

VENUS: list[tuple[str, Expected]] = [
    (f"<think>a</think>\n<action>{written}</action>\n<conclusion>c</conclusion>", expected)
    for written, expected in rows([
        ("Click(box=(868,487))", Tap(element=(868, 487))),
        ("Click(box=[868,487])", Tap(element=(868, 487))),
        ("Click(box='(868,487)')", Tap(element=(868, 487))),
        ("click(box=(868,487))", Tap(element=(868, 487))),
        ("Click( box = ( 868 , 487 ) )", Tap(element=(868, 487))),
        ("Click（box＝（868，487））", Tap(element=(868, 487))),
        ("Click(box=(100,200,300,400))", Tap(element=(200, 300))),
        ("Click(box=(1000,0))", Tap(element=(999, 0))),
        ("Click(box=(1080,5))", ActionOutOfBounds),
        ("Click(box=(5,-1))", ActionOutOfBounds),
        ("Click(box=(0.2,0.4))", ActionOutOfBounds),
        ("Click((868,487))", ReplyUnparseable),
        ("Click(box=868)", ReplyUnparseable),
        ("Click()", ReplyUnparseable),
        ("Click(box=(868,487)", ReplyUnparseable),
        ("LongPress(box=(1,2))", LongPress(element=(1, 2))),
        ("DoubleClick(box=(1,2))", DoubleTap(element=(1, 2))),
        ("Drag(start=(1,2), end=(3,4))", Drag(start=(1, 2), end=(3, 4))),
        ("Scroll(start=(500,800), end=(500,300))", Swipe(start=(500, 800), end=(500, 300))),
        ("Scroll(direction='down')", UP),
        ("Scroll(start=(1,2))", ReplyUnparseable),
        ("Scroll()", ReplyUnparseable),
        ("Type(content='a, b) and \"c\"')", TypeText(text='a, b) and "c"')),
        ("Type(content='it's here')", TypeText(text="it's here")),
        ("Type(content='it\\'s here')", TypeText(text="it's here")),
        ('Type(content="say \\"x\\"")', TypeText(text='say "x"')),
        ("Type(content='a\\nb')", TypeText(text="a\nb")),
        ("Type(content='</action>')", TypeText(text="</action>")),
        ("Type(content='<action>Finished()</action>')",
         TypeText(text="<action>Finished()</action>")),
        ("Type(content='')", TypeText(text="")),
        ("Type(content='a' + 'b')", ReplyUnparseable),
        ("Type(content=None)", ReplyUnparseable),
        ("Type()", ReplyUnparseable),
        ("Launch(app='微信')", Launch(app="微信")),
        ("Launch(app='Chrome', url='')", Launch(app="Chrome")),
        ("Launch(app='', url='https://x.y')", ReplyUnparseable),
        ("Wait()", Wait(seconds=1)),
        ("Wait(time=5)", Wait(seconds=5)),
        ("Finished(content='ok')", Finish(message="ok")),
        ("Finished()", Finish()),
        ("Finished(content=['a'])", ReplyUnparseable),
        ("CallUser(content='It costs 30 euro')", Answer(message="It costs 30 euro")),
        ("CallUser(content='Which of the two?')", Interact(message="Which of the two?")),
        ("CallUser(content='选哪一个？')", Interact(message="选哪一个？")),
        ("CallUser()", ReplyUnparseable),
        ("PressBack()", Back()),
        ("PressHome()", Home()),
        ("PressEnter()", Key(key="enter")),
        ("PressRecent()", Key(key="recents")),
        ("Hotkey(keys=['ctrl', 'c'])", UnknownAction),
        ("Fly()", UnknownAction),
        ("Wait", ReplyUnparseable),
        ("", ReplyUnparseable),
        ("Wait() or Finished()", ReplyUnparseable),
        ("Wait().x()", ReplyUnparseable),
        ("```\nWait()\n```", Wait(seconds=1)),
        ("do(action='Back')", UnknownAction),
    ])
] + [
    ("<think>a</think><action>Finished(content='ok')</action>", Finish(message="ok")),
    ("<action>Wait()</action><conclusion>c</conclusion>", Wait(seconds=1)),
    ("<action>Wait()</action>\n<action>Finished()</action>", Wait(seconds=1)),
    ("<action>Finished()</action>\n<action>Wait()</action>", ReplyUnparseable),
    ("Wait()", ReplyUnparseable),
    ("<conclusion>Done</conclusion>", ReplyUnparseable),
    ("<action>Wait()", ReplyUnparseable),
    ("<ACTION>Wait()</ACTION>", Wait(seconds=1)),
    ("<think>a</think>I do <action>Wait()</action> now.", ReplyUnparseable),
]  # fmt: skip

GLM: list[tuple[str, Expected]] = [
    (f"Memory: None\nReason: r\nAction: {written}", expected)
    for written, expected in rows([
        ('<|begin_of_box|>{"action_type": "click", "box_2d": [[100,200,300,260]]}<|end_of_box|>',
         Tap(element=(200, 230))),
        ('{"action_type": "click", "box_2d": [100,200,300,260]}', Tap(element=(200, 230))),
        ('{"action_type": "click", "box_2d": [[7, 8]]}', Tap(element=(7, 8))),
        ('{"action_type": "click", "box_2d": "[[7, 8, 7, 8]]"}', Tap(element=(7, 8))),
        ('{"action_type": "click", "box_2d": [[0,0,1080,2400]]}', ActionOutOfBounds),
        ('{"action_type": "click", "box_2d": [[0.1,0.2,0.3,0.4]]}', ActionOutOfBounds),
        ('{"action_type": "click", "box_2d": [[1,2,3]]}', ReplyUnparseable),
        ('{"action_type": "click", "box_2d": [[1,2,3,4],[5,6,7,8]]}', ReplyUnparseable),
        ('{"action_type": "click"}', ReplyUnparseable),
        ("{'action_type': 'input_text', 'text': \"it's\", 'box_2d': [[10,20,30,40]], "
         "'override': True}", TypeText(text="it's", submit=True, element=(20, 30))),
        ('{"action_type": "input_text", "text": "a", "override": false}',
         TypeText(text="a", clear=False, submit=True)),
        ('{"action_type": "input_text", "text": "a"}',
         TypeText(text="a", clear=False, submit=True)),
        ("{'action_type': 'input_text', 'text': 'it's'}",
         TypeText(text="it's", clear=False, submit=True)),
        ("{'action_type': 'input_text', 'text': 'a', 'b'}", ReplyUnparseable),
        ('{"action_type": "input_text", "text": "a\\nb"}',
         TypeText(text="a\nb", clear=False, submit=True)),
        ('{"action_type": "input_text", "text": "a\nb"}',
         TypeText(text="a\nb", clear=False, submit=True)),
        ('{"action_type": "input_text", "text": "}"}',
         TypeText(text="}", clear=False, submit=True)),
        ('{"action_type": "input_text", "text": null}', ReplyUnparseable),
        ('{"action_type": "input_text"}', ReplyUnparseable),
        ('{"action_type": "status", "goal_status": "infeasible"}', GiveUp()),
        ('{"action_type": "status", "goal_status": "complete"}', Finish()),
        ('{"action_type": "status", "goal_status": "done"}', ReplyUnparseable),
        ('{"action_type": "status"}', ReplyUnparseable),
        ('{"action_type": "answer", "text": "42"}', Answer(message="42")),
        ('{"action_type": "answer"}', ReplyUnparseable),
        ('{"action_type": "swipe", "direction": "up"}', UP),
        ('{"action_type": "swipe", "direction": "down"}', DOWN),
        ('{"action_type": "swipe", "direction": "left", "box_2d": [[700,100,700,100]]}',
         Swipe(start=(700, 100), end=(300, 100))),
        ('{"action_type": "swipe"}', ReplyUnparseable),
        ('{"action_type": "long_press", "box_2d": [[1,2,1,2]]}', LongPress(element=(1, 2))),
        ('{"action_type": "keyboard_enter"}', Key(key="enter")),
        ('{"action_type": "navigate_home"}', Home()),
        ('{"action_type": "navigate_back"}', Back()),
        ('{"action_type": "open_app", "app_name": "微信"}', Launch(app="微信")),
        ('{"action_type": "open_app", "app_name": ""}', ReplyUnparseable),
        ('{"action_type": "wait"}', Wait(seconds=1)),
        ('{"action_type": "Wait"}', Wait(seconds=1)),
        ('{"action_type": "fly"}', UnknownAction),
        ('{"action_type": 5}', ReplyUnparseable),
        ('{"action": "wait"}', ReplyUnparseable),
        ("{}", ReplyUnparseable),
        ('{"action_type": "wait"', ReplyUnparseable),
        ("{'action_type': __import__('os')}", ReplyUnparseable),
        ("{**{'action_type': 'wait'}}", ReplyUnparseable),
        ('```json\n{"action_type": "wait"}\n```', Wait(seconds=1)),
        ("wait()", ReplyUnparseable),
        ("", ReplyUnparseable),
        ('{"action_type": "wait"} I think', ReplyUnparseable),
        ('{"action_type": "wait"}\nAction: {"action_type": "wait"}', ReplyUnparseable),
        ('{"action_type": "wait"}\n\n{"action_type": "wait"}', ReplyUnparseable),
    ])
] + [
    ('{"action_type": "wait"}', Wait(seconds=1)),
    ('<|begin_of_box|>{"action_type": "wait"}<|end_of_box|>', Wait(seconds=1)),
    ('<think>a</think><|begin_of_box|>{"action_type": "wait"}<|end_of_box|>', Wait(seconds=1)),
    ('Reason: r\nAction: {"action_type": "wait"}<|user|>', Wait(seconds=1)),
    ('Memory: Action: {"action_type": "navigate_home"}\nReason: r\nAction: {"action_type": "wait"}',
     Wait(seconds=1)),
    ('I say {"action_type": "status", "goal_status": "complete"}', ReplyUnparseable),
    ('{"action_type": "status", "goal_status": "complete"}\nAction: {"action_type": "wait"}',
     ReplyUnparseable),
]  # fmt: skip


def s(action: str, *fields: str) -> str:
    return "\t".join(["<THINK> a </THINK>\nexplain:e", f"action:{action}", *fields, "summary:s"])


STEP: list[tuple[str, Expected]] = [
    (s("CLICK", "point:530,1000"), Tap(element=(530, 999))),
    (s("CLICK", "point:530 400"), Tap(element=(530, 400))),
    (s("CLICK", "point:(530, 400)"), Tap(element=(530, 400))),
    (s("click", "point:530,400"), Tap(element=(530, 400))),
    (s("CLICK", "point: 530,400 "), Tap(element=(530, 400))),
    (s("CLICK", "point:530"), ReplyUnparseable),
    (s("CLICK"), ReplyUnparseable),
    (s("CLICK", "point:540,2200"), ActionOutOfBounds),
    (s("CLICK", "point:0.5,0.5"), ActionOutOfBounds),
    (s("CLICK", "point:a,b"), ReplyUnparseable),
    (s("CLICK", "point:1,2", "point:3,4"), ReplyUnparseable),
    (s("CLICK", "530,400"), ReplyUnparseable),
    ("<TINK>a</TINK>\nexplain:type\taction:TYPE\tvalue:http://a.b:80/x\tpoint:300,200\tsummary:s",
     TypeText(text="http://a.b:80/x", element=(300, 200))),
    (s("TYPE", "value:it's \"5\""), TypeText(text="it's \"5\"")),
    (s("TYPE", "value:"), TypeText(text="")),
    (s("TYPE", "value:action:COMPLETE"), TypeText(text="action:COMPLETE")),
    (s("TYPE", "value:a\nb"), TypeText(text="a\nb")),
    (s("TYPE", "value:说好"), TypeText(text="说好")),
    (s("TYPE", "point:1,2"), ReplyUnparseable),
    (s("TYPE", "value:a", "action:COMPLETE", "return:x"), ReplyUnparseable),
    (s("TYPE", "value:a\tb"), ReplyUnparseable),
    (s("TYPE", "value:a", "point:1080,9"), ActionOutOfBounds),
    (s("COMPLETE", "return:It is on."), Finish(message="It is on.")),
    (s("complete", "return:ok"), Finish(message="ok")),
    (s("COMPLETE"), ReplyUnparseable),
    (s("COMPLETE", "return:"), ReplyUnparseable),
    (s("COMPLETE", "return:ok") + "\n" + s("WAIT"), ReplyUnparseable),
    (s("WAIT", "value:3"), Wait(seconds=3)),
    (s("WAIT", "value:900"), Wait(seconds=30)),
    (s("WAIT", "value:3 seconds"), Wait(seconds=3)),
    (s("WAIT", "value:long"), ReplyUnparseable),
    (s("WAIT"), Wait(seconds=1)),
    (s("AWAKE", "value:微信"), Launch(app="微信")),
    (s("AWAKE", "value: "), ReplyUnparseable),
    (s("AWAKE"), ReplyUnparseable),
    (s("INFO", "value:Which one?"), Interact(message="Which one?")),
    (s("INFO"), Interact()),
    (s("ABORT", "value:no such app"), GiveUp(message="no such app")),
    (s("ABORT"), GiveUp()),
    (s("SLIDE", "point1:1,2", "point2:3,4"), Swipe(start=(1, 2), end=(3, 4))),
    (s("SLIDE", "point1:1,2"), ReplyUnparseable),
    (s("SLIDE", "point1:1,2", "point2:3,4000"), ActionOutOfBounds),
    (s("LONGPRESS", "point:5,6"), LongPress(element=(5, 6))),
    (s("DOUBLE_CLICK", "point:5,6"), DoubleTap(element=(5, 6))),
    (s("HOT_KEY", "key:ENTER"), Key(key="enter")),
    (s("HOT_KEY", "value:BACK"), Back()),
    (s("HOT_KEY", "key:POWER"), Key(key="power")),
    (s("HOT_KEY", "key:SLEEP"), UnknownAction),
    (s("HOT_KEY"), ReplyUnparseable),
    (s("CALL_USER", "value:log in"), TakeOver(message="log in")),
    ("<think>a</think>verify:ok\tnote:none\texplain:e\taction:BACK", Back()),
    ("action:HOME", Home()),
    ("explain:e\taction:FLY", UnknownAction),
    ("explain:e\taction:", ReplyUnparseable),
    ("explain:e", ReplyUnparseable),
    ("explain:e action:BACK", ReplyUnparseable),
    ("I will go back.\naction:BACK", ReplyUnparseable),
    ("```\nexplain:e\taction:BACK\n```", Back()),
    ("<THINK>action:COMPLETE</THINK>\nexplain:e\taction:BACK", Back()),
    ("<THINK>x</THINK>", ReplyUnparseable),
]  # fmt: skip

CORPORA = {"qwen": QWEN, "ui-tars": TARS, "ui-venus": VENUS, "glmv": GLM, "step-gui": STEP}
ROWS = [(name, *row) for name, corpus in CORPORA.items() for row in corpus]


@pytest.mark.parametrize(("name", "text", "expected"), ROWS)
def test_reads_or_refuses(name: str, text: str, expected: Expected) -> None:
    dialect = DIALECTS[name]
    if isinstance(expected, type):
        with pytest.raises(expected):
            dialect.read(text, sent=SENT)
    else:
        assert dialect.read(text, sent=SENT).action == expected


@pytest.mark.parametrize("name", CORPORA)
def test_every_corpus_is_large(name: str) -> None:
    assert len(CORPORA[name]) + len(TAPS) + len(REFUSED) >= 80
    assert len({text for text, _ in CORPORA[name]}) == len(CORPORA[name])


# -- what depends on the dialect or the profile


@pytest.mark.parametrize("name", ["qwen", "gui-owl", "mai-ui"])
def test_an_answer_ends_the_task_only_where_that_is_meant(name: str) -> None:
    text = call(action="answer", text="42")
    ends = dialect_named(name).read(text).action
    assert ends == (Answer(message="42") if name == "qwen" else Finish(message="42"))
    assert dialect_named(name, answer_ends=True).read(text).action == Finish(message="42")
    assert dialect_named(name, answer_ends=False).read(text).action == Answer(message="42")


def test_a_profile_says_that_a_model_answers_in_pixels() -> None:
    text = call(action="click", coordinate=[540, 1200])
    assert dialect_named("qwen", coordinates="pixels").read(text, sent=SENT).action == Tap(
        element=PIXEL
    )
    tars = dialect_named("ui-tars", coordinates="thousandths")
    assert tars.read("Action: click(start_box='(540,900)')", sent=SENT).action == Tap(
        element=(540, 900)
    )


@pytest.mark.parametrize(
    ("name", "text", "thought", "answer"),
    [
        ("qwen", 'Thought: So.\nAction: "Tap it."\n' + call(action="wait"), "So.",
         'Action: "Tap it."\n' + call(action="wait")),
        ("mai-ui", "<thinking>\nSo.\n</thinking>\n" + call(action="wait"), "So.",
         call(action="wait")),
        ("ui-tars", "Thought: So.\nAction: wait()", "So.", "wait()"),
        ("seed", "<think>So.</think>" + xml("wait"), "So.", xml("wait")),
        ("ui-venus", "<think>So.</think>\n<action>Wait()</action>\n<conclusion> Wait. "
         "</conclusion>", "So.", "<action>Wait()</action><conclusion>Wait.</conclusion>"),
        ("glmv", '<think>So.</think>Memory: m\nReason: r\nAction: <|begin_of_box|>{"action_type": '
         '"wait"}<|end_of_box|>', "So.", 'Memory: m\nReason: r\nAction: {"action_type": "wait"}'),
        ("step-gui", "<THINK> So. </THINK>\nexplain:e\taction:WAIT\tsummary:s", "So.",
         "explain:e\taction:WAIT\tsummary:s"),
    ],
)  # fmt: skip
def test_keeps_the_thought_and_what_belongs_to_the_action(
    name: str, text: str, thought: str, answer: str
) -> None:
    decision = DIALECTS[name].read(text)
    assert (decision.thought, decision.answer, decision.raw) == (thought, answer, text)
    kept = DIALECTS[name].assistant_text(thought, answer)
    again = DIALECTS[name].read(kept)
    assert (again.thought, again.action) == (thought, decision.action)


@pytest.mark.parametrize("name", DIALECTS)
def test_the_words_of_an_answer_to_a_plain_question(name: str) -> None:
    dialect = DIALECTS[name]
    assert dialect.words("Yes, it is on.") == "Yes, it is on."
    assert dialect.words("<think>Hm. No?</think>\nYes, it is on.") == "Yes, it is on."
