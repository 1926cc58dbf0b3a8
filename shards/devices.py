"""List the inputs of this computer and choose one of them, by the package sounddevice: for Localise.py --live."""
import re
from contextlib import suppress
from typing import NamedTuple

from console import BadInput


class Device(NamedTuple):
    """An input of the system: its number and name, the driver system it belongs to, and what it offers."""

    number: int
    name: str
    host: str
    channels: int
    sample_rate_hz: int
    is_default: bool

    @property
    def full_name(self):
        """Give the name as people tell it apart from others."""
        return f"{self.name}, {self.host}"

    @property
    def lasting_name(self):
        """Give the name without the number of the card, which may be another after it was unplugged."""
        return re.sub(r"\(hw:\d+,\d+\)", "", self.full_name)


def imported():
    """Import sounddevice; BadInput with the remedy where it or PortAudio is missing."""
    try:
        import sounddevice
    except ImportError as problem:
        raise BadInput(f"--live and --list-devices need the package sounddevice ({problem}); install it with pip "
                       "install -r requirements-live.txt.") from problem
    except OSError as problem:
        raise BadInput(f"--live and --list-devices need the library PortAudio ({problem}); install it, on Debian and "
                       "Ubuntu with apt install libportaudio2.") from problem
    return sounddevice


def devices(sounddevice):
    """List the inputs of the system as Device; none where it has none."""
    hosts, default = sounddevice.query_hostapis(), None
    with suppress(sounddevice.PortAudioError, ValueError):
        default = sounddevice.query_devices(kind="input")["index"]
    return [Device(number, info["name"], hosts[info["hostapi"]]["name"], info["max_input_channels"],
                   round(info["default_samplerate"]), number == default)
            for number, info in enumerate(sounddevice.query_devices()) if info["max_input_channels"]]


def choose(inputs, named):
    """Choose one of some Devices by its number or a part of its name; BadInput where that fits none, or several.

    Where one card is listed by several driver systems, that of the default input decides.
    """
    if not inputs:
        raise BadInput("--live finds no input; connect a microphone or a sound card, or localise a recording.")
    if named is None:
        fitting = [each for each in inputs if each.is_default]
    elif named.isdecimal():
        fitting = [each for each in inputs if each.number == int(named)]
    else:
        fitting = [each for each in inputs if named.lower() in each.full_name.lower()]
        exact = [each for each in fitting if named.lower() in (each.name.lower(), each.full_name.lower())]
        usual = [each for each in exact or fitting if each.host in {one.host for one in inputs if one.is_default}]
        fitting = usual or exact or fitting
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        several = "; ".join(f"{each.number}: {each.full_name}" for each in fitting)
        raise BadInput(f"--device {named} fits several inputs ({several}); choose one by its number.")
    wanted = f"--device {named} is no input" if named is not None else "the system names no input as its own"
    raise BadInput(f"{wanted}; choose one of those that --list-devices lists.")


def table_of_devices():
    """Make the text of --list-devices: a line for each input, * before the system's own; BadInput without any."""
    inputs = devices(imported())
    if not inputs:
        raise BadInput("--list-devices finds no input; connect a microphone or a sound card.")
    return "\n".join(["  number  channels  rate (Hz)  name", *(
        f"{'*' if each.is_default else ' '} {each.number:6}  {each.channels:8}  {each.sample_rate_hz:9}  "
        f"{each.full_name}" for each in inputs)])
