"""Goals that the demo model does not know are handed back before the phone is touched."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stack

UNKNOWN = (
    "Delete the contact Ines",
    "Tell me the battery level",
    "Turn on Bluetooth and delete all notes",
    "Turn on Bluetooth, then open Notes",
    "Turn on Bluetooth in the car",
    "Do not turn on Bluetooth",
    "Turn on the flashlight",
    "Turn the brightness up",
    "Open WhatsApp",
    "Open Notes and write a poem",
    "Is Bluetooth on?",
    "What is on in the calendar?",
    "Send 50 EUR to Bob",
    "Order a pizza",
    "Set an alarm for 7:30",
    "Call Ada",
    "Uninstall Music",
    "Factory reset the phone",
    "bluetooth",
    "Hello",
    "打开蓝牙",
    "关闭无线网络",
    "删除联系人小明",
    "告诉我电池电量",
    "打开设置",
    "给妈妈打电话",
    "订一份披萨",
    "把亮度调到最大",
    "发消息给老板说我迟到了",
    "打开日历并删除所有事件",
)


@pytest.mark.parametrize("goal", UNKNOWN)
def test_an_unknown_goal_is_handed_back_and_the_phone_is_not_touched(
    stack: Stack, goal: str
) -> None:
    seen = len(stack.phone.events())
    task = stack.run(goal)
    assert (task["status"], task["stop_reason"]) == ("failed", "out_of_scope")
    assert "turn on or off Wi-Fi, Bluetooth" in task["message"]
    assert stack.get(f"/tasks/{task['id']}/steps")["steps"] == []
    events = stack.phone.events(seen)
    assert [event for event in events if event["kind"] != "shell"] == []
    assert not any("input" in event["command"] for event in events)


def test_the_known_goals_are_listed(stack: Stack) -> None:
    goals = stack.get("/goals")
    assert goals["any_goal"] is False
    assert [kind["title"] for kind in goals["known"]] == ["Turn on or off", "Open"]
    for kind in goals["known"]:
        assert stack.run(kind["example"])["status"] == "succeeded"
