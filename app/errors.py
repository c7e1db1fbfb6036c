"""Every error that phonepilot raises on purpose, arranged by who must act.

AppError(code, message, hint)
├ ConfigError                    the operator, at start-up
│  └ DataFolderBusy
├ InputError                     the caller: a bad goal, a bad number, an unknown id
│  ├ TaskNotFound · TaskNotRunning · TaskNotEnded · KeyReused · NoOpenQuestion
│  ├ SecretUnknown
│  ├ ModelUnknown · ModelNotInstalled
│  └ ScheduleNotFound · ScheduleOverlaps
├ DiskFull · StoreDamaged · RecordDamaged    the operator: the data folder
├ RequestRefused · RequestTooLarge · RequestTooSlow · TooManyRequests    the caller: the request
├ TokenMissing · RightMissing    the caller: its access token
├ ServiceUnreachable · ServiceRefused    the command line's user: the service it talks to
├ DeviceError
│  ├ AdbServerUnreachable        retry with back-off, then stop
│  ├ DeviceNotFound · DeviceOffline · DeviceDisconnected   wait for its return, look again
│  ├ DeviceNotChosen             the caller: several devices and none named
│  ├ DeviceBusy                  the caller: another task holds the lease
│  ├ DeviceUnauthorized · DeviceLocked · InputRefused      the person holding the phone
│  ├ DeviceTimeout               never repeat a tap blindly
│  ├ CommandFailed(exit_code, stderr)                      reported to the model
│  ├ TextRefused · AppNotFound   reported to the model
│  └ ScreenshotUnavailable · SecureScreen · SecretUnguarded
├ EngineError
│  ├ EngineStartFailed(exit_code, log_tail)
│  ├ EngineNotReady(retry_after) · EngineBusy · EngineUnreachable
│  ├ EngineRequestFailed
│  │  ├ EngineKeyRefused · EngineUnpaid · EngineForbidden · EngineModelUnknown    the operator
│  │  ├ EngineContentRefused · EngineRequestTooLarge                              the caller
│  │  └ EngineRateLimited · EngineOverloaded · EngineServerError    asked again after a while
│  ├ EngineTimeout
│  │  └ EngineHung
│  ├ ModelBlind                  the operator: a model without eyes
│  └ ContextOverflow · ReplyTruncated
├ ModelError                     pulling or converting a model: the operator
└ PolicyError                    stays in the loop: becomes feedback to the model
   └ ReplyUnparseable · UnknownAction · ActionOutOfBounds

`code` is stable and documented in docs/troubleshooting.md. `message` says what happened and `hint`
what to do next. Foreign errors are translated at one place per boundary and chained with `from`.
"""

from __future__ import annotations

from typing import Any, ClassVar


class AppError(Exception):
    """An error with a stable code, a sentence about what happened, and what to do about it."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint

    def as_dict(self) -> dict[str, Any]:
        """The JSON body of the error: `{"code", "message", "hint"}`."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class ConfigError(AppError):
    code = "config_invalid"
    status = 500


class DataFolderBusy(ConfigError):
    """Another service uses the data folder."""

    code = "data_folder_busy"
    default_hint = "Stop that one, or set service.data_dir to another folder for this one."


class InputError(AppError):
    code = "input_invalid"
    status = 422


class TaskNotFound(InputError):
    code = "task_not_found"
    status = 404
    default_hint = "GET /tasks, or `phonepilot tasks list`, shows the ones there are."


class TaskNotRunning(InputError):
    code = "task_not_running"
    status = 409


class TaskNotEnded(InputError):
    code = "task_not_ended"
    status = 409
    default_hint = "Cancel it first: POST /tasks/{id}/cancel, or `phonepilot tasks cancel ID`."


class KeyReused(InputError):
    code = "idempotency_key_reused"
    status = 409
    default_hint = "Use a new key for a new request, and the same one only to repeat it."


class NoOpenQuestion(InputError):
    code = "no_open_question"
    status = 409


class ModelUnknown(InputError):
    code = "model_unknown"
    status = 404
    default_hint = "`phonepilot models list` has the names."


class ModelNotInstalled(InputError):
    code = "model_not_installed"
    status = 409


class ScheduleNotFound(InputError):
    code = "schedule_not_found"
    status = 404
    default_hint = "GET /schedules, or `phonepilot schedules list`, shows the ones there are."


class ScheduleOverlaps(InputError):
    code = "schedule_overlaps"
    status = 409
    default_hint = "Give the schedule less to do, or more time between its runs."


class SecretUnknown(InputError):
    code = "secret_unknown"
    default_hint = (
        "Send it in `secrets`, or set PHONEPILOT_SECRET_NAME for the service. It is kept in memory "
        "only, so a task that needs it does not go on after a restart."
    )


class DiskFull(AppError):
    code = "disk_full"
    status = 507
    default_hint = "Free some space, lower service.keep_days, or service.min_free_mib."


class StoreDamaged(AppError):
    """The database cannot be read."""

    code = "store_damaged"
    status = 500
    default_hint = (
        "Stop phonepilot and move phonepilot.db away, with its -wal and -shm files: the next start "
        "makes a new one. `sqlite3 phonepilot.db .recover` may save what is in the old one."
    )


class RecordDamaged(AppError):
    """One row of the database cannot be read; it is shown with this error instead of its data."""

    code = "record_damaged"
    default_hint = "Delete it. What is stored stays untouched until then."


class RequestRefused(AppError):
    code = "request_refused"
    status = 403


class RequestTooLarge(AppError):
    code = "request_too_large"
    status = 413


class RequestTooSlow(AppError):
    code = "request_too_slow"
    status = 408


class TooManyRequests(AppError):
    code = "too_many_requests"
    status = 429
    default_hint = "Wait a little, or raise service.rate_limit."


class TokenMissing(AppError):
    code = "token_missing"
    status = 401
    default_hint = "Send `Authorization: Bearer TOKEN`; `phonepilot tokens create NAME` makes one."


class RightMissing(AppError):
    code = "right_missing"
    status = 403
    default_hint = "Use a token with that right, or make one with `phonepilot tokens create`."


class ServiceUnreachable(AppError):
    code = "service_unreachable"
    default_hint = "Start it with `phonepilot serve`, or name another one with --url."


class ServiceRefused(AppError):
    """An error of the service, with the code that it sent."""

    code = "service_refused"

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(str(body.get("message", "the service refused")), str(body.get("hint", "")))
        self.body = body

    def as_dict(self) -> dict[str, Any]:
        return self.body


class DeviceError(AppError):
    code = "device_error"
    status = 503


class AdbServerUnreachable(DeviceError):
    code = "adb_server_unreachable"
    default_hint = "Start it with `adb start-server`, or let phonepilot start its own."


class DeviceNotFound(DeviceError):
    code = "device_not_found"
    status = 404
    default_hint = "Connect a phone with USB debugging on, or try `phonepilot phone`."


class DeviceOffline(DeviceError):
    code = "device_offline"
    default_hint = "Unplug and plug the phone again, or reconnect it over Wi-Fi."


class DeviceDisconnected(DeviceError):
    code = "device_disconnected"
    default_hint = "The phone dropped off in the middle of a command; check cable or Wi-Fi."


class DeviceNotChosen(DeviceError):
    code = "device_not_chosen"
    status = 409
    default_hint = "Name one of them with `device`."


class DeviceBusy(DeviceError):
    code = "device_busy"
    status = 409
    default_hint = "Wait for the running task, or cancel it."


class DeviceUnauthorized(DeviceError):
    code = "device_unauthorized"
    status = 409
    default_hint = "Unlock the phone and accept the USB debugging question on its screen."


class DeviceLocked(DeviceError):
    code = "device_locked"
    status = 409
    default_hint = "Unlock the phone; phonepilot never types a PIN."


class InputRefused(DeviceError):
    code = "input_refused"
    status = 409
    default_hint = (
        "Turn on 'USB debugging (Security settings)' in the developer options, then restart the "
        "phone; `phonepilot devices setup SERIAL` names the switch of other makers."
    )


class DeviceTimeout(DeviceError):
    code = "device_timeout"
    status = 504
    default_hint = "The phone did not answer in time; look whether it hangs."


class CommandFailed(DeviceError):
    """A command ran on the phone and ended with a non-zero exit code."""

    code = "device_command_failed"

    def __init__(self, message: str, exit_code: int, stderr: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code
        self.stderr = stderr


class AnswerTooLarge(DeviceError):
    code = "answer_too_large"
    default_hint = "Look what is wrong with the phone; a healthy one never sends as much."


class TextRefused(DeviceError):
    code = "text_refused"
    status = 422
    default_hint = "Install the ADBKeyboard on the phone to type text beyond plain ASCII."


class AppNotFound(DeviceError):
    code = "app_not_found"
    status = 404


class ScreenshotUnavailable(DeviceError):
    code = "screenshot_unavailable"


class SecureScreen(DeviceError):
    code = "secure_screen"
    default_hint = "The app forbids screenshots; do this part by hand."


class SecretUnguarded(DeviceError):
    code = "secret_unguarded"
    status = 409
    default_hint = "Do the rest by hand, or leave the page that shows the secret."


class EngineError(AppError):
    """`reason` is a stable word for the cause if it is known, such as "out_of_memory".

    `passing` says that the same request may succeed later, `wait_s` how many seconds the engine
    asks to wait for that; None if it does not say.
    """

    code = "engine_error"
    status = 502
    reason: str = ""
    passing: ClassVar[bool] = False
    wait_s: float | None = None


class EngineStartFailed(EngineError):
    """The engine's process ended before it was ready.

    `exit_code` is None if it never started; `log_tail` contains its last lines, oldest first.
    """

    code = "engine_start_failed"
    status = 503

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        exit_code: int | None = None,
        log_tail: tuple[str, ...] = (),
        reason: str = "",
    ) -> None:
        super().__init__(message, hint)
        self.reason = reason
        self.exit_code = exit_code
        self.log_tail = log_tail

    def as_dict(self) -> dict[str, Any]:
        return {
            **super().as_dict(),
            "reason": self.reason,
            "exit_code": self.exit_code,
            "log_tail": list(self.log_tail),
        }


class EngineNotReady(EngineError):
    """The engine is starting or stopping; `retry_after` is in seconds."""

    code = "engine_not_ready"
    status = 503
    default_hint = "Wait until GET /engine says ready."

    def __init__(self, message: str, hint: str = "", *, retry_after: int = 5) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class EngineBusy(EngineNotReady):
    code = "engine_busy"
    default_hint = "Ask again later, or give the engine more slots (engine.parallel)."


class EngineUnreachable(EngineError):
    passing = True
    code = "engine_unreachable"
    status = 502
    default_hint = "Check the engine's URL and its log (GET /engine/log)."


class EngineBrokeOff(EngineError):
    """The response ended without a sign that the reply is complete."""

    passing = True
    code = "engine_broke_off"
    status = 502
    default_hint = "Check the engine's log, and a proxy in front of it."


class EngineTimeout(EngineError):
    passing = True
    code = "engine_timeout"
    status = 504
    default_hint = "The engine sent nothing for too long; look at GET /engine/log."


class EngineHung(EngineTimeout):
    code = "engine_hung"
    default_hint = "It is ended and started again; GET /engine/log shows what it did last."


class EngineRequestFailed(EngineError):
    code = "engine_request_failed"


class EngineKeyRefused(EngineRequestFailed):
    code = "engine_key_refused"
    default_hint = (
        "Put a valid key of this host into the variable that engine.api_key_env names, and start "
        "phonepilot again."
    )


class EngineUnpaid(EngineRequestFailed):
    """The account at the host has no money or no quota left. The key is not the problem."""

    code = "engine_unpaid"
    default_hint = "Top up the account at the host of engine.url, or use another engine."


class EngineForbidden(EngineRequestFailed):
    """The host knows the key, and does not allow its account what was asked for."""

    code = "engine_forbidden"
    default_hint = (
        "Look at the account at the host: the model may have to be enabled for it, or the account "
        "may be locked."
    )


class ModelBlind(EngineError):
    """Tasks need a model that takes pictures."""

    code = "model_blind"
    status = 409
    default_hint = (
        "Set engine.mmproj to the projector that belongs to engine.model, or choose another model: "
        "phonepilot engine use NAME."
    )


class EngineModelUnknown(EngineRequestFailed):
    code = "engine_model_unknown"
    default_hint = "Set engine.alias to a model that this host has; GET /v1/models lists them."


class EngineContentRefused(EngineRequestFailed):
    """The host's moderation refused the screen, the goal or the reply."""

    code = "engine_content_refused"
    default_hint = (
        "The host does not accept what is on the screen or in the goal; do this part by hand, or "
        "use a local engine."
    )


class EngineRequestTooLarge(EngineRequestFailed):
    code = "engine_request_too_large"
    default_hint = "Lower engine.image_max_mib, or profile.images_kept."


class EngineRateLimited(EngineRequestFailed):
    passing = True
    code = "engine_rate_limited"
    default_hint = "Wait a little, lower engine.max_calls, or ask the host for a higher limit."


class EngineOverloaded(EngineRequestFailed):
    passing = True
    code = "engine_overloaded"
    status = 503
    default_hint = "Wait a little; the host serves too many others, or is still loading the model."


class EngineServerError(EngineRequestFailed):
    passing = True
    code = "engine_server_error"
    default_hint = "The fault is inside the engine; look at its log, or at the host's status page."


class ContextOverflow(EngineError):
    code = "context_overflow"
    default_hint = "Raise engine.context, or shorten the goal."


class ReplyTruncated(EngineError):
    code = "reply_truncated"
    default_hint = "Raise profile.max_tokens."


class ModelError(AppError):
    """A model could not be pulled, checked, converted or removed.

    `log_tail` contains the last lines of a program that failed, oldest first.
    """

    code = "model_error"

    def __init__(self, message: str, hint: str = "", *, log_tail: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.log_tail = log_tail

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "log_tail": list(self.log_tail)}


class PolicyError(AppError):
    code = "policy_error"


class ReplyUnparseable(PolicyError):
    code = "reply_unparseable"


class UnknownAction(PolicyError):
    code = "unknown_action"


class ActionOutOfBounds(PolicyError):
    code = "action_out_of_bounds"
