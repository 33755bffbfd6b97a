"""Several processes on one virtual loop: each can be killed between any two of its steps, or put to sleep and woken.

Whatever runs on behalf of a machine is marked by a context variable, which asyncio hands on to all that it starts. The step of a
machine that sleeps is kept until it wakes, as SIGSTOP does it; the step of one that was killed never comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final

from support.virtual import VirtualLoop


class Machine:
    """A process."""

    def __init__(self, name: str, loop: MachineLoop) -> None:
        self.name = name
        self.alive = True
        self.asleep = False
        self._loop = loop
        self._kept: list[Callable[[], None]] = []

    def run(self, work: Callable[[], Any]) -> asyncio.Task[Any]:
        """Begin something on this machine."""
        context = copy_context()
        context.run(HERE.set, self)
        return self._loop.create_task(work(), context=context)

    def sleep(self) -> None:
        """SIGSTOP."""
        self.asleep = True

    def wake(self) -> None:
        """SIGCONT: what was due meanwhile is done now, in its order."""
        self.asleep = False
        kept, self._kept = self._kept, []
        for step in kept:
            self._loop.call_soon(step)

    def kill(self) -> None:
        """SIGKILL."""
        self.alive = False
        self._kept.clear()

    def step(self, step: Callable[[], None]) -> None:
        """Do the next thing, if that is possible now."""
        if not self.alive:
            return
        if self.asleep:
            self._kept.append(step)
        else:
            step()


HERE: Final[ContextVar[Machine | None]] = ContextVar("HERE", default=None)


class MachineLoop(VirtualLoop):
    """The virtual loop, with machines."""

    def call_soon(  # type: ignore[override] # it takes whatever theirs takes
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's own."""
        gated = self._gated(callback, args, context)
        if gated is None:
            return super().call_soon(callback, *args, context=context)
        gated.handle = super().call_soon(gated.due, context=context)
        return gated.handle

    def call_at(  # type: ignore[override] # likewise
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's own."""
        gated = self._gated(callback, args, context)
        if gated is None:
            return super().call_at(when, callback, *args, context=context)
        handle = super().call_at(when, gated.due, context=context)
        gated.handle = handle
        return handle

    @staticmethod
    def _gated(callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None) -> _Gated | None:
        machine = HERE.get() if context is None else context.get(HERE)
        return None if machine is None else _Gated(machine, callback, args)


class _Gated:
    """A step of a machine."""

    __slots__ = ("_args", "_callback", "_context", "_machine", "handle")
    handle: asyncio.Handle

    def __init__(self, machine: Machine, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._machine = machine
        self._callback = callback
        self._args = args

    def due(self) -> None:
        """It is time."""
        if self._machine.alive and not self._machine.asleep:
            self._callback(*self._args)
        elif self._machine.alive:
            self._context = copy_context()
            self._machine.step(self._late)

    def _late(self) -> None:
        if not self.handle.cancelled():
            self._context.run(self._callback, *self._args)
