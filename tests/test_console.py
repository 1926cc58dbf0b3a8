"""How scripts end."""
import signal

import pytest

import console


@pytest.fixture
def ctrl_c():
    """Let this test's process hear Ctrl-C as a script's does, and give what presses it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_that_other_code_turns_into_its_own_error_is_still_ctrl_c(ctrl_c, capsys):
    def main():
        try:
            ctrl_c()
        except KeyboardInterrupt:
            raise ValueError("Attempt to convert a value with an unsupported type") from None

    assert console.run(main) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_fault_of_the_program_keeps_its_traceback(ctrl_c):
    def main():
        raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        console.run(main)
