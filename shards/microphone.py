"""Listen to two ears as they come: blocks of a two-channel input, for Localise.py --live."""
import soxr

from console import BadInput

BLOCK_S = 0.1   # of a block


def microphone_blocks(params, device=None):
    """Yield blocks (n, 2) at params.sample_rate_hz of a two-channel input; BadInput where there is none.

    An input that does not know this rate is opened at its own and resampled.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as problem:  # OSError: the package is there, the PortAudio library is not
        raise BadInput(f"--live needs the package sounddevice ({problem}); install it with pip install -r "
                       "requirements-live.txt.") from problem
    device = int(device) if device is not None and device.isdigit() else device
    rate_hz, to_rate = params.sample_rate_hz, None
    try:
        try:
            sounddevice.check_input_settings(device=device, channels=2, dtype="float32", samplerate=rate_hz)
        except sounddevice.PortAudioError:
            rate_hz = sounddevice.query_devices(device, "input")["default_samplerate"]
            to_rate = soxr.ResampleStream(rate_hz, params.sample_rate_hz, 2, dtype="float32")
        with sounddevice.InputStream(samplerate=rate_hz, device=device, channels=2, dtype="float32") as stream:
            while True:
                block = stream.read(round(BLOCK_S * rate_hz))[0]
                yield to_rate.resample_chunk(block) if to_rate else block
    except (sounddevice.PortAudioError, ValueError) as problem:
        raise BadInput(f"--live finds no two-channel input ({problem}); connect one, choose one with --device, or "
                       "localise a recording.") from problem
