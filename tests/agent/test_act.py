"""What comes of a decision: whom it asks, what it does, and what the model and the person hear."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from app.adb.ui_dump import ShownText
from app.agent.conduct import Conduct
from app.agent.dialects.autoglm import AUTOGLM
from app.agent.guard import Category, Guard
from app.agent.ports import Nobody
from app.agent.reader import Reader
from app.agent.second_look import JudgeLook
from app.agent.step import Answer, Question
from app.errors import DeviceLocked, EngineTimeout, InputRefused
from tests.agent.doubles import App, RememberingDevice, Scene, ScriptedChat, ScriptedPerson

TAP = '<think>I tap.</think><answer>do(action="Tap", element=[500,250])</answer>'
BACK = '<think>Back.</think><answer>do(action="Back")</answer>'
DONE = '<think>It is on.</think><answer>finish(message="Bluetooth is on.")</answer>'
PAY = Category("pay", "a payment", ("*/*checkout*",), words={"en": ("pay",)})
SHOP = App("com.shop", "Shop", ".Checkout")
YES, NO = Answer(True), Answer(False)


def last_text(scene: Scene, request: int = -1) -> str:
    return str(scene.chat.requests[request][-1]["content"][1]["text"])


def asking(*answers: Answer, **conduct: object) -> tuple[ScriptedPerson, Conduct]:
    person = ScriptedPerson(list(answers))
    return person, Conduct(person=person, **conduct)  # type: ignore[arg-type]


async def test_a_payment_is_done_when_the_person_allows_it() -> None:
    person, conduct = asking(YES, guard=Guard([PAY]))
    scene = Scene(ScriptedChat(TAP, DONE), RememberingDevice(app=SHOP), conduct=conduct)
    assert (await scene.run()).reason == "finished"
    assert scene.device.calls == [("tap", 540, 600)]
    assert [question.kind for question in person.asked] == ["confirmation"]
    assert person.asked[0].action is not None


@pytest.mark.parametrize(
    "conduct", [Conduct(guard=Guard([PAY])), asking(NO, guard=Guard([PAY]))[1]]
)
async def test_a_payment_that_nobody_allows_is_not_done(conduct: Conduct) -> None:
    scene = Scene(ScriptedChat(TAP, DONE), RememberingDevice(app=SHOP), conduct=conduct)
    outcome = await scene.run()
    assert outcome.reason == "refused"
    assert "a payment" in outcome.message
    assert scene.device.calls == []


async def test_a_yes_with_a_word_is_told_to_the_model() -> None:
    _, conduct = asking(Answer(True, "But only once."), guard=Guard([PAY]))
    scene = Scene(ScriptedChat(TAP, DONE), RememberingDevice(app=SHOP), conduct=conduct)
    assert (await scene.run()).reason == "finished"
    assert scene.device.calls == [("tap", 540, 600)]
    assert "The person says: But only once." in last_text(scene)


async def test_a_no_with_a_word_goes_on_another_way() -> None:
    person, conduct = asking(Answer(False, "Take the cheaper one."), guard=Guard([PAY]))
    scene = Scene(ScriptedChat(TAP, DONE), RememberingDevice(app=SHOP), conduct=conduct)
    assert (await scene.run()).reason == "finished"
    assert scene.device.calls == []
    assert "The person does not want that: Take the cheaper one." in last_text(scene)


async def test_consent_to_a_screen_that_has_gone_is_void_and_is_asked_for_again() -> None:
    person, conduct = asking(YES, YES, guard=Guard([PAY]))
    device = RememberingDevice(app=SHOP, screens=[b"shop", b"an advert", b"shop"])
    scene = Scene(ScriptedChat(TAP, TAP, DONE), device, conduct=conduct)
    assert (await scene.run()).reason == "finished"
    assert device.calls == [("tap", 540, 600)]
    assert [question.kind for question in person.asked] == ["confirmation"] * 2
    assert "the consent is void" in scene.notebook.steps[0].remark
    assert "The screen changed" in person.asked[1].hint


async def test_on_a_screen_that_keeps_moving_the_person_is_told_another_way() -> None:
    person, conduct = asking(YES, YES, YES, Answer(False, "It is done."), guard=Guard([PAY]))
    moving = [f"advert {number}".encode() for number in range(20)]
    device = RememberingDevice(app=SHOP, screens=moving)
    scene = Scene(ScriptedChat(TAP, TAP, TAP, TAP, DONE), device, conduct=conduct)
    assert (await scene.run()).reason == "finished"
    assert device.calls == []
    hinted = ["by hand" in question.hint for question in person.asked]
    assert hinted == [False, False, True, True]


async def test_a_consent_is_not_spent_on_another_page() -> None:
    """Allowed in Notes; by the time of the answer a checkout page has come up."""

    class MovesOn(ScriptedPerson):
        async def ask(self, question: Question) -> Answer:
            if len(self.asked) == 0:
                device.app = SHOP
            return await super().ask(question)

    device = RememberingDevice(app=App("org.notes", "Notes", ".Main"), screens=[b"the same"])
    person = MovesOn([YES, NO])
    conduct = Conduct(person=person, guard=Guard([PAY]))
    tip = '<think>x</think><answer>do(action="Tap", element=[500,250], message="Close?")</answer>'
    scene = Scene(ScriptedChat(tip, tip), device, conduct=conduct)
    assert (await scene.run()).reason == "refused"
    assert device.calls == []
    assert [question.category for question in person.asked] == ["model", "pay"]


async def test_a_consent_counts_for_one_action_only() -> None:
    person, conduct = asking(YES, NO, guard=Guard([PAY]))
    device = RememberingDevice(app=SHOP, screens=[b"the same"])
    scene = Scene(ScriptedChat(TAP, TAP), device, conduct=conduct)
    assert (await scene.run()).reason == "refused"
    assert device.calls == [("tap", 540, 600)]
    assert len(person.asked) == 2


async def test_the_rule_speaks_before_the_model_whose_words_are_marked_as_its_own() -> None:
    person, conduct = asking(NO, guard=Guard([PAY]))
    harmless = (
        "<think>I scroll.</think>"
        '<answer>do(action="Tap", element=[500,250], message="Scroll down?")</answer>'
    )
    scene = Scene(ScriptedChat(harmless), RememberingDevice(app=SHOP), conduct=conduct)
    assert (await scene.run()).reason == "refused"
    (question,) = person.asked
    assert "a payment" in question.text
    assert "Scroll down" not in question.text
    assert (question.said, question.thought, question.category) == (
        "Scroll down?",
        "I scroll.",
        "pay",
    )
    assert question.about is not None
    assert (question.about.app, question.about.activity) == ("Shop", ".Checkout")


class ComesUpMeanwhile(RememberingDevice):
    """The checkout comes up between the look and the touch."""

    looks = 0

    async def current_app(self) -> App:
        self.looks += 1
        return App("org.notes", "Notes", ".Main") if self.looks == 1 else SHOP


async def test_what_is_there_when_the_finger_falls_is_judged_not_what_was_there_before() -> None:
    device = ComesUpMeanwhile()
    scene = Scene(
        ScriptedChat(TAP, TAP), device, conduct=Conduct(person=Nobody(), guard=Guard([PAY]))
    )
    assert (await scene.run()).reason == "refused"
    assert device.calls == []
    assert "looking again" in scene.notebook.steps[0].remark


class ComesUpWhileLabelsAreRead(RememberingDevice):
    """A phone that takes its time for the labels; meanwhile the checkout comes up."""

    async def shown_texts(self) -> Sequence[ShownText]:
        if self.app is SHOP:
            return []
        await asyncio.sleep(0.1)
        self.app = SHOP
        return [ShownText("Next", (0, 500, 1080, 700), False, False, True)]


@pytest.mark.parametrize(
    "reply",
    [
        '<think>I pay attention.</think><answer>do(action="Tap", element=[500,250])</answer>',
        '<think>x</think><answer>do(action="Tap", element=[500,250])</answer>',
    ],
)
async def test_what_comes_up_while_the_labels_are_read_is_judged_too(reply: str) -> None:
    person, conduct = asking(NO, guard=Guard([replace(PAY, look_in=("org.notes/*",))]))
    device = ComesUpWhileLabelsAreRead(app=App("org.notes", "Notes", ".Main"))
    scene = Scene(ScriptedChat(reply, TAP, DONE), device, conduct=conduct)
    assert (await scene.run()).reason == "refused"
    assert device.calls == []
    assert "looking again" in scene.notebook.steps[0].remark
    assert [question.category for question in person.asked] == ["pay"]


async def test_an_app_that_is_not_allowed_and_comes_up_meanwhile_is_not_touched() -> None:
    device = ComesUpMeanwhile()
    guard = Guard(allowed={"org.notes": "Notes"})
    scene = Scene(ScriptedChat(TAP, TAP, DONE), device, conduct=Conduct(guard=guard))
    assert (await scene.run()).reason == "finished"
    assert device.calls == []


async def test_outside_the_allowed_apps_the_model_is_told_and_nothing_is_touched() -> None:
    guard = Guard(allowed={"org.notes": "Notes"})
    launch = '<answer>do(action="Launch", app="com.shop")</answer>'
    chat = ScriptedChat(TAP, launch, DONE)
    scene = Scene(chat, RememberingDevice(app=SHOP), conduct=Conduct(guard=guard))
    assert (await scene.run()).reason == "finished"
    assert scene.device.calls == []
    assert "not allowed in this task" in last_text(scene, 1)
    assert "not allowed in this task" in last_text(scene, 2)


async def test_each_step_is_asked_for_in_step_mode() -> None:
    person, conduct = asking(YES, NO, mode="step")
    scene = Scene(ScriptedChat(TAP, BACK), conduct=conduct)
    assert (await scene.run()).reason == "refused"
    assert scene.device.calls == [("tap", 540, 600)]
    assert [question.kind for question in person.asked] == ["step", "step"]


async def test_a_dry_run_decides_once_and_touches_nothing() -> None:
    scene = Scene(ScriptedChat(TAP), conduct=Conduct(mode="dry_run"))
    outcome = await scene.run()
    assert (outcome.reason, scene.device.calls) == ("dry_run", [])
    assert "Tap at 500, 250" in outcome.message


@pytest.mark.parametrize(
    ("reply", "kind", "told"),
    [
        ('do(action="Take_over", message="Log in")', "take_over", "The person has done it. ok"),
        ('do(action="Interact", message="Which?")', "question", "The person answers: ok"),
    ],
)
async def test_what_only_a_person_can_do(reply: str, kind: str, told: str) -> None:
    person, conduct = asking(Answer(True, "ok"))
    scene = Scene(ScriptedChat(reply, DONE), conduct=conduct)
    assert (await scene.run()).reason == "finished"
    assert person.asked[0].kind == kind
    assert told in last_text(scene)


async def test_nobody_may_consent_but_not_answer() -> None:
    nobody = Nobody(allows=True)
    assert (await nobody.ask(Question("confirmation", "?"))).allowed
    assert not (await nobody.ask(Question("take_over", "?"))).allowed


async def test_the_time_with_the_person_does_not_count() -> None:
    class Slow(ScriptedPerson):
        async def ask(self, question: Question) -> Answer:
            await asyncio.sleep(0.3)
            return await super().ask(question)

    person = Slow([YES])
    scene = Scene(
        ScriptedChat(TAP, DONE),
        RememberingDevice(app=SHOP),
        conduct=Conduct(person=person, guard=Guard([PAY])),
    )
    assert (await scene.run(timeout_s=0.25)).reason == "finished"


@pytest.mark.parametrize("fault", [DeviceLocked("locked"), InputRefused("refused")])
async def test_what_the_person_must_mend_on_the_phone_is_asked_and_not_repeated(
    fault: DeviceLocked | InputRefused,
) -> None:
    class Mender(ScriptedPerson):
        async def ask(self, question: Question) -> Answer:
            device.faults.clear()
            return await super().ask(question)

    device = RememberingDevice(faults={"tap": fault})
    person = Mender([YES])
    scene = Scene(ScriptedChat(TAP, DONE), device, conduct=Conduct(person=person))
    assert (await scene.run()).reason == "finished"
    assert [call[0] for call in device.calls] == ["tap"]
    assert person.asked[0].kind == "take_over"
    assert person.asked[0].hint == fault.hint
    assert "the person has mended the cause" in last_text(scene)


async def test_notes_are_kept_and_used() -> None:
    chat = ScriptedChat(
        '<think>Page.</think><answer>do(action="Note", message="True")</answer>',
        "The price is 12 EUR.",
        '<answer>do(action="Call_API", instruction="Which is cheaper?")</answer>',
        '<think>x</think><answer>finish(message="This one.")</answer>',
        DONE,
    )
    reader = Reader(AUTOGLM, chat, "Compare prices", "en", None)
    scene = Scene(chat, conduct=Conduct(reader=reader))
    assert (await scene.run()).reason == "finished"
    assert scene.notebook.steps[0].remark == "Noted: The price is 12 EUR."
    summary = str(chat.requests[3][0]["content"][1]["text"])
    assert "[1] Settings: The price is 12 EUR." in summary
    assert "Which is cheaper?" in summary
    assert "Result: This one." in last_text(scene)
    assert scene.device.calls == []


async def test_without_a_reader_the_thought_is_what_is_noted() -> None:
    chat = ScriptedChat(
        '<think>It costs 12 EUR.</think><answer>do(action="Note", message="True")</answer>',
        '<answer>do(action="Call_API", instruction="Sum up")</answer>',
        DONE,
    )
    scene = Scene(chat)
    assert (await scene.run()).reason == "finished"
    assert "Result: [1] Settings: It costs 12 EUR." in last_text(scene)


def judged(chat: ScriptedChat, *answers: Answer) -> Conduct:
    return Conduct(
        person=ScriptedPerson(list(answers)),
        second_look=JudgeLook(Reader(AUTOGLM, chat, "Turn on Bluetooth", "en", None)),
    )


async def test_a_finish_that_the_second_look_sees_too_is_believed() -> None:
    chat = ScriptedChat(DONE, "YES, the switch is on.")
    assert (await Scene(chat, conduct=judged(chat)).run()).reason == "finished"


async def test_a_doubted_finish_goes_on_and_the_model_hears_why() -> None:
    chat = ScriptedChat(DONE, "NO. The switch is off.", TAP, DONE, "Yes.")
    scene = Scene(chat, conduct=judged(chat))
    assert (await scene.run()).reason == "finished"
    assert scene.device.calls == [("tap", 540, 600)]
    assert "not reached yet: NO. The switch is off." in last_text(scene, 2)


@pytest.mark.parametrize(("answer", "reason"), [(YES, "finished"), (NO, "gave_up")])
async def test_after_two_doubts_the_person_decides(answer: Answer, reason: str) -> None:
    chat = ScriptedChat(DONE, "no", DONE, "没有")
    scene = Scene(chat, conduct=judged(chat, answer))
    assert (await scene.run()).reason == reason


@pytest.mark.parametrize("verdict", ["I see a phone.", EngineTimeout("slow")])
async def test_a_second_look_without_a_verdict_doubts_nothing_and_says_so(
    verdict: str | EngineTimeout,
) -> None:
    chat = ScriptedChat(DONE, verdict, verdict)  # one that times out is asked twice
    scene = Scene(chat, conduct=judged(chat))
    assert (await scene.run()).reason == "finished"
    assert "no verdict" in scene.notebook.steps[0].remark


async def test_a_model_that_cannot_be_told_forgets_its_doubted_finish() -> None:
    chat = ScriptedChat(DONE, "no", DONE, "yes")
    scene = Scene(chat, conduct=judged(chat), feedback=False)
    assert (await scene.run()).reason == "finished"
    assert len(chat.requests[2]) == len(chat.requests[0])


async def test_a_stall_is_told_to_the_model_then_to_the_person_and_then_ends() -> None:
    person, conduct = asking(Answer(True, "Use the menu."), NO)
    chat = ScriptedChat(*[TAP] * 20)
    device = RememberingDevice(screens=[b"the same"])
    outcome = await Scene(chat, device, conduct=conduct).run(max_steps=50)
    assert outcome.reason == "stalled"
    assert len(device.calls) == 12
    texts = [str(request[-1]["content"][1]["text"]) for request in chat.requests]
    assert [i for i, text in enumerate(texts) if "were the same" in text] == [3, 9]
    assert [i for i, text in enumerate(texts) if "Use the menu." in text] == [6]
    assert [question.kind for question in person.asked] == ["stalled", "stalled"]


async def test_with_nobody_to_ask_a_stall_ends_the_task() -> None:
    device = RememberingDevice(screens=[b"the same"])
    outcome = await Scene(ScriptedChat(*[TAP] * 20), device).run(max_steps=50)
    assert (outcome.reason, len(device.calls)) == ("stalled", 6)


async def test_an_app_that_comes_up_by_itself_is_pointed_out() -> None:
    class PopsUp(RememberingDevice):
        async def type_text(self, text: str, clear: bool = True, private: bool = False) -> str:
            self.app = replace(self.app, package="com.advert", label="Advert")
            return await super().type_text(text, clear)

    chat = ScriptedChat('<answer>do(action="Type", text="hello")</answer>', DONE)
    scene = Scene(chat, PopsUp())
    await scene.run()
    assert last_text(scene).startswith("Advert came to the front by itself.")
