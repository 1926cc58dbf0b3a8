"use strict";
const BLOCKS = 16;                                             // of 128 frames in a message
registerProcessor("ears", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.blocks = [];
  }
  process([input]) {
    if (input.length !== this.blocks[0]?.length) this.blocks = [];  // the number of channels changed
    if (input.length) this.blocks.push(input.map(channel => channel.slice()));
    if (this.blocks.length === BLOCKS) {
      this.port.postMessage(this.blocks);
      this.blocks = [];
    }
    return true;
  }
});
