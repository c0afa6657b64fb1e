// Sends video frames to Python, which changes them in place: node dist/main.js [FRAMES]
// Both processes map the same memory. Through the pipes goes only the number of the frame that is ready.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pipe, SharedMemory } from 'vecino';

const WIDTH = 1920;
const HEIGHT = 1080;
const FRAME_BYTES = WIDTH * HEIGHT * 3;
const SLOTS = 2; // Python works on one frame while we fill the other
const frames = Number(process.argv[2] ?? 60);

using memory = SharedMemory.anonymous(SLOTS * FRAME_BYTES); // no name: nothing to remove, and nothing that Python could remove
const slots = Array.from({ length: SLOTS }, (_, i) => new Uint8Array(memory.buffer, i * FRAME_BYTES, FRAME_BYTES));

const to = pipe();
const from = pipe();
const script = fileURLToPath(new URL('../invert.py', import.meta.url));
const python = spawn('python3', [script, `${WIDTH}`, `${HEIGHT}`], {
  stdio: [to.reader.fd, from.writer.fd, 'inherit', memory.fd], // the memory is descriptor 3 there
});
to.reader.close(); // Python has these two now
from.writer.close();
const ended = new Promise<string>((resolve) => {
  python.once('exit', (code, signal) => resolve(String(signal ?? code)));
  python.once('error', (error) => resolve(error.message));
});
let stopping = false;
process.on('SIGINT', () => {
  stopping = true;
});
process.once('SIGTERM', () => {
  stopping = true;
});

const colour = (frame: number) => frame % 256;
let sent = 0;
let returned = 0;
async function sendNext(): Promise<void> {
  if (stopping || sent === frames) return to.writer.close(); // the end of its input ends Python
  const slot = sent % SLOTS;
  slots[slot]!.fill(colour(sent)); // a camera would write here
  sent++;
  await to.writer.write(Buffer.from(`${slot}\n`));
}

const begun = performance.now();
try {
  for (let i = 0; i < SLOTS; i++) await sendNext();
  for await (const line of createInterface({ input: from.reader.toStream() })) {
    if (line.startsWith('with ')) {
      console.log(`python ${python.pid} works ${line}`);
      continue;
    }
    const frame = slots[Number(line)]!;
    const wanted = 255 - colour(returned);
    if (frame[0] !== wanted || frame[FRAME_BYTES - 1] !== wanted) throw new Error(`frame ${returned} is not inverted`);
    returned++;
    if (returned === 1) console.log('the first frame is back');
    await sendNext();
  }
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error; // EPIPE: Python has died
}
to.writer.close();

const how = await ended;
if (how === '0') {
  const milliseconds = (performance.now() - begun) / returned;
  console.log(`${returned} frames of ${FRAME_BYTES} bytes came back inverted, ${milliseconds.toFixed(1)} ms each`);
} else {
  console.error(`python ended (${how}) after ${returned} frames`);
  process.exitCode = 1;
}
