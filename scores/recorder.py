"""The page of the server: drop a recording on it, or record two channels as the browser gets them.

    text = recorder.html(most_bytes, most_seconds)

recorder.css is its look, recorder.js what it does, and recorder_worklet.js hears the input block by block.
"""
import json
from pathlib import Path

from scores import markup

HERE = Path(__file__).parent
STYLE, SCRIPT, WORKLET = ((HERE / name).read_text(encoding="utf-8") for name in
                          ("recorder.css", "recorder.js", "recorder_worklet.js"))
WORKLET_NAME = "worklet.js"  # where the server has WORKLET, beside the page
QUIETEST_DB = -60            # where a meter begins


def too_large(most_bytes):
    """Say that a file has too many bytes."""
    return (f"The recording has more than {most_bytes >> 20} MB, which --serve does not take; localise it by its name: "
            "python Localise.py FILE --html.")


def too_long(name, most_seconds):
    """Say that a recording lasts too long."""
    return (f"{name} lasts more than {most_seconds / 60:g} minutes, which --serve does not take; localise it by its "
            "name: python Localise.py FILE --html.")


def html(most_bytes, most_seconds):
    """Make the page, for recordings of at most so many bytes and seconds: str."""
    limits = json.dumps({"most_bytes": most_bytes, "most_seconds": most_seconds, "too_large": too_large(most_bytes)})
    meters = "".join(
        f'<label for="{name}">{name.capitalize()}</label><meter id="{name}" min="{QUIETEST_DB}" max="0" '
        f'value="{QUIETEST_DB}"></meter><output for="{name}" id="{name}-db" aria-live="off"></output>'
        for name in ("left", "right"))
    body = f"""<header><h1>From where does the sound come?</h1>
<p>Drop a recording of two ears here, or record one. It goes to Localise.py on this computer and nowhere else.
Nothing is kept but the last answer, until the next one or until Localise.py ends.</p></header>
<main>
<section id="drop" aria-labelledby="of-file"><h2 id="of-file">A file</h2>
<p><label for="file">A recording with two channels, the left ear first</label>
<input type="file" id="file" accept="audio/*,video/*,.flac,.opus,.aif,.aiff,.caf,.w64,.sph,.au"></p>
<p class="note">wav, flac, mp3, m4a and others; up to {most_bytes >> 20} MB and {most_seconds / 60:g} minutes.
Or drop it anywhere on this page.</p></section>
<section aria-labelledby="of-input"><h2 id="of-input">Your microphones</h2>
<p class="note">Two microphones at two ears. The browser is asked to leave both channels untouched.</p>
<button id="open">Open the microphones</button>
<div id="input" hidden>
<p><label for="device">Input</label><select id="device"></select></p>
<div class="meters">{meters}</div>
<p id="channels" role="status"></p>
<p id="processed" role="status"></p>
<p class="bar"><button id="record" aria-describedby="channels">Record</button><span id="clock" role="timer"></span>
<button id="close">Close the microphones</button></p></div></section>
<section id="work" aria-labelledby="of-work" hidden><h2 id="of-work">At work</h2>
<progress id="progress" aria-labelledby="of-work"></progress><p id="doing" role="status"></p>
<button id="cancel">Cancel</button></section>
</main>
<p id="problem" class="problem" role="alert"></p>
<p><a id="keep" hidden>Save what was recorded</a></p>
<noscript><p class="problem">This page needs JavaScript. Without it, use python Localise.py FILE --html.</p></noscript>
<script type="application/json" id="limits">{limits}</script>"""
    return markup.document("From where does the sound come?", body, STYLE, SCRIPT, "blob:", is_served=True)
