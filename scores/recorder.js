"use strict";
(() => {
const of = id => document.getElementById(id);
const limits = JSON.parse(of("limits").textContent);
const PROCESSING = {echoCancellation: "echo cancellation", noiseSuppression: "noise suppression",
                    autoGainControl: "automatic gain control", voiceIsolation: "voice isolation"};
const UNTOUCHED = Object.fromEntries(Object.keys(PROCESSING).map(each => [each, false]));
const SILENT = 1e-5, JUDGED_S = 0.5;                           // of full scale; how often the channels are judged
const EARS = ["left", "right"];
let input = null, recording = null, work = null;               // what is open, being recorded, being localised

function complain(text) {
  of("problem").textContent = text;
  if (text) of("problem").scrollIntoView({block: "nearest"});
}
const clock = seconds => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

// -------------------------------------------------------------------------------------------------- to Localise.py
async function localise(sound, name, seconds) {                // seconds: a promise of them, null if they stay unknown
  complain("");
  if (work) return complain("Another recording is at work; wait for it, or cancel it.");
  if (sound.size > limits.most_bytes) return complain(limits.too_large);
  work = new AbortController();
  of("keep").hidden = true;
  show();
  of("doing").textContent = `sending ${name}`;
  for (const each of ["value", "max"]) of("progress").removeAttribute(each);
  const mine = work;
  seconds.then(known => { if (known && work === mine) of("progress").max = known; });
  try {
    const told = await answer(sound, name);
    if (told.page) {
      close();
      location.assign(told.page);
    } else complain(told.problem ?? "The answer broke off; the terminal of Localise.py may say why.");
  } catch (problem) {
    if (problem.name !== "AbortError")
      complain("The recording could not be sent; check that Localise.py still runs, and that the file is still there.");
  }
  work = null;
  const wasOnCancel = document.activeElement === of("cancel");
  show();
  if (wasOnCancel) (input ? of("record") : of("file")).focus();  // not lost with the button
}
async function answer(sound, name) {                           // the last line that the server tells
  const response = await fetch(`localise?name=${encodeURIComponent(name)}`,
                               {method: "POST", body: sound, signal: work.signal});
  const reader = response.body.getReader(), decoder = new TextDecoder();
  let text = "", told = {};
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return told;
    const lines = (text + decoder.decode(value, {stream: true})).split("\n");
    text = lines.pop();
    for (const line of lines) {
      told = JSON.parse(line);
      if (told.doing) progress(told);
    }
  }
}
function progress({doing, seconds}) {                          // seconds: of the recording so far
  const bar = of("progress"), isKnown = seconds !== undefined && bar.hasAttribute("max");
  of("doing").textContent = seconds === undefined ? doing
    : `${doing}: ${clock(seconds)}${isKnown ? ` of ${clock(bar.max)}` : ""}`;
  if (isKnown) bar.value = seconds;
}
const durationOf = file => new Promise(resolve => {            // null where the browser cannot tell
  const audio = new Audio(), address = URL.createObjectURL(file);
  const tell = seconds => { URL.revokeObjectURL(address); resolve(Number.isFinite(seconds) ? seconds : null); };
  audio.preload = "metadata";
  audio.onloadedmetadata = () => tell(audio.duration);
  audio.onerror = () => tell(null);
  audio.src = address;
});
async function take(files) {
  if (files.length > 1) return complain("One file at a time; for several there is python Localise.py FOLDER --html.");
  if (files.length) await localise(files[0], files[0].name, durationOf(files[0]));
}
of("file").addEventListener("change", async () => {
  await take(of("file").files);
  of("file").value = "";                                       // so that the same file may come again
});
addEventListener("dragover", event => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
addEventListener("dragleave", event => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
addEventListener("drop", event => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  if ([...event.dataTransfer.items].some(each => each.webkitGetAsEntry?.()?.isDirectory))
    complain("Drop a file; for folders there is python Localise.py FOLDER --html.");
  else take(event.dataTransfer.files);
});
of("cancel").addEventListener("click", () => work?.abort());

// ------------------------------------------------------------------------------------------------ the microphones
async function openInput(device) {
  complain("");
  close();
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode)
    return complain("This browser lets no page hear the microphones here; record with another program and drop the file.");
  of("open").disabled = true;
  try {
    const stream = await navigator.mediaDevices.getUserMedia({audio: {
      ...UNTOUCHED, channelCount: {ideal: 2}, ...(device ? {deviceId: {exact: device}} : {})}});
    const context = new AudioContext(), track = stream.getAudioTracks()[0];
    const most = track.getSettings().channelCount ?? Infinity;  // Chromium makes two channels of one for Web Audio
    input = {stream, context, track, most, heard: null, channels: 0};
    track.addEventListener("ended", lost);
    await context.audioWorklet.addModule("worklet.js");
    const node = new AudioWorkletNode(context, "ears", {channelCountMode: "max", channelInterpretation: "discrete"});
    node.port.onmessage = ({data}) => hear(data);
    context.createMediaStreamSource(stream).connect(node);
    node.connect(context.destination);                         // it gives silence, but must be pulled
    context.resume();                                          // which may take for ever where no sound can be played
    of("channels").textContent = "Waiting for sound.";
    await list(track);
    const left = Object.keys(PROCESSING).filter(each => track.getSettings()[each]).map(each => PROCESSING[each]);
    of("processed").textContent = left.length ? `The browser still applies ${left.join(", ")}, which changes what two `
      + "ears hear; record with another program and drop the file." : "";
  } catch (problem) {
    close();
    complain({NotAllowedError: "The browser may not use the microphones; allow it beside the address, and open them again.",
              NotFoundError: "No microphone was found; connect one, or drop a file.",
              NotReadableError: "The microphone is taken by another program; close that, and open it again."}[problem.name]
      ?? `The microphones cannot be opened (${problem.name}: ${problem.message}); drop a file instead.`);
  }
  of("open").disabled = false;
  show();
  (input ? of("device") : of("open")).focus();
}
async function list(track) {
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter(each => each.kind === "audioinput");
  of("device").replaceChildren(...devices.map((each, at) => {
    const option = document.createElement("option");
    option.value = each.deviceId;
    option.textContent = each.label || `Input ${at + 1}`;
    option.selected = each.deviceId === track.getSettings().deviceId;
    return option;
  }));
}
function close() {
  if (!input) return;
  input.track.removeEventListener("ended", lost);
  input.stream.getTracks().forEach(track => track.stop());
  input.context.close();
  input = recording = null;
  of("channels").textContent = of("processed").textContent = of("clock").textContent = "";
  show();
}
function lost() {
  const was = recording;
  if (was) stop(", cut short");
  close();
  complain(`The input has gone or changed; open it again.${was ? " What was recorded is localised." : ""}`);
}

function hear(blocks) {                                        // block, channel, frame
  if (!input) return;
  const frames = blocks.length * blocks[0][0].length, channels = Math.min(blocks[0].length, input.most);
  if (channels !== input.channels) {
    if (recording) return lost();                              // it is another input now
    input.channels = channels;
    input.heard = null;
  }
  input.heard ??= {frames: 0, peak: [0, 0], difference: 0};
  const peak = [0, 0], two = new Float32Array(2 * frames);
  let at = 0;
  for (const block of blocks) {
    const ears = [block[0], block[1] ?? block[0]];
    for (let frame = 0; frame < ears[0].length; frame++) {
      for (const ear of [0, 1]) {
        two[at++] = ears[ear][frame];
        peak[ear] = Math.max(peak[ear], Math.abs(ears[ear][frame]));
      }
      input.heard.difference = Math.max(input.heard.difference, Math.abs(ears[0][frame] - ears[1][frame]));
    }
  }
  EARS.forEach((name, ear) => {
    const level_db = 20 * Math.log10(Math.max(peak[ear], SILENT));
    of(name).value = level_db;
    of(`${name}-db`).textContent = input.channels === 1 && ear ? "none" : peak[ear] < SILENT ? "silent"
      : `${Math.round(level_db)} dB`;
    input.heard.peak[ear] = Math.max(input.heard.peak[ear], peak[ear]);
  });
  input.heard.frames += frames;
  if (input.heard.frames >= JUDGED_S * input.context.sampleRate) judge();
  if (recording) keep(two, frames);
}
function judge() {                                             // what arrived in the last half second
  const {peak, difference} = input.heard, silent = peak.map(each => each < SILENT);
  const [text, isWrong] = input.channels === 1
    ? ["The browser delivers one channel of this input, which tells no direction. Choose an input with two channels, or "
       + "record with another program and drop the file.", true]
    : silent[0] && silent[1] ? ["Both channels are silent.", true]
    : silent[0] || silent[1] ? [`The ${EARS[silent[0] ? 0 : 1]} channel is silent.`, true]
    : difference === 0 ? ["Both channels are the same signal: one microphone, or two that were mixed to one. That tells "
                          + "no direction.", true]
    : input.channels > 2 ? [`The input has ${input.channels} channels; the first two are taken as left and right.`, false]
    : ["Two different channels arrive.", false];
  if (of("channels").textContent !== text) of("channels").textContent = text;
  of("channels").classList.toggle("wrong", isWrong);
  input.heard = null;
  show();
}

// ------------------------------------------------------------------------------------------------------- recording
const mostFrames = () => Math.floor(Math.min(limits.most_seconds * input.context.sampleRate - 1,
                                             (limits.most_bytes - HEADER_BYTES) / FRAME_BYTES));
function start() {
  complain("");
  recording = {blocks: [], frames: 0, most: mostFrames()};
  show();
}
function keep(two, frames) {
  recording.blocks.push(two);
  recording.frames += frames;
  const rate = input.context.sampleRate;
  of("clock").textContent = `${clock(recording.frames / rate)} of at most ${clock(recording.most / rate)}`;
  if (recording.frames + frames > recording.most) stop();
}
function stop(remark = "") {
  const {blocks, frames} = recording, rate = input.context.sampleRate, now = new Date();
  const when = new Date(now - 60000 * now.getTimezoneOffset()).toISOString().slice(0, 19).replace("T", " ").replaceAll(":", ".");
  recording = null;
  of("clock").textContent = "";
  const sound = wav(blocks, frames, rate), name = `recording ${when}${remark}.wav`;
  localise(sound, name, Promise.resolve(frames / rate)).then(() => {  // without an answer it is all that there is
    URL.revokeObjectURL(of("keep").href);
    of("keep").href = URL.createObjectURL(sound);
    of("keep").download = name;
    of("keep").hidden = false;
  });
}
// A wav of 32-bit floats with two channels, as Microsoft's "Multiple channel audio data and WAVE files" has it.
const HEADER_BYTES = 58, FRAME_BYTES = 8, FLOAT = 3;
function wav(blocks, frames, rate) {
  const header = new DataView(new ArrayBuffer(HEADER_BYTES)), bytes = frames * FRAME_BYTES;
  let at = 0;
  const name = text => { for (const each of text) header.setUint8(at++, each.charCodeAt(0)); };
  const four = value => { header.setUint32(at, value, true); at += 4; };
  const two = value => { header.setUint16(at, value, true); at += 2; };
  name("RIFF"); four(HEADER_BYTES - 8 + bytes); name("WAVE");
  name("fmt "); four(18); two(FLOAT); two(2); four(rate); four(rate * FRAME_BYTES); two(FRAME_BYTES); two(32); two(0);
  name("fact"); four(4); four(frames);
  name("data"); four(bytes);
  return new Blob([header, ...blocks], {type: "audio/wav"});   // arrays are little-endian, as wav, wherever browsers run
}

// ----------------------------------------------------------------------------------------------------------- shown
function show() {
  of("work").hidden = !work;
  of("open").hidden = Boolean(input);
  of("input").hidden = !input;
  of("record").textContent = recording ? "Stop and localise" : "Record";
  of("record").disabled = Boolean(work) || !input || input.channels < 2;
  of("close").disabled = Boolean(recording);
  of("file").disabled = of("device").disabled = Boolean(work) || Boolean(recording);
}
of("open").addEventListener("click", () => openInput());
of("close").addEventListener("click", () => {
  close();
  of("open").focus();
});
of("device").addEventListener("change", () => openInput(of("device").value));
of("record").addEventListener("click", () => recording ? stop() : start());
show();
})();
